"""A package that keeps a thread, and says so."""
