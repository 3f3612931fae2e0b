"""Findings as text, as plain data and as files."""
