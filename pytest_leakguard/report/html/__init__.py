"""The report as one self-contained page: no script is needed to read it, and nothing is loaded from anywhere."""
