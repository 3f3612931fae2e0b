"""A small weather station: one module for each way to forget a clean-up.

Every module has the careless function and the careful one next to each other.
"""
