"""Loads the plugin. A published one has a `pytest11` entry point instead, and needs no line here."""

from __future__ import annotations

pytest_plugins = ["leakguard_handles"]
