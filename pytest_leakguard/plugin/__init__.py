"""The pytest side: thin hooks that read, call the core and attach the result."""
