"""Closes idle connections, in the background."""

import threading


class Reaper:
    """One for the whole process."""

    def start(self) -> None:
        """Start it, once."""
        threading.Thread(target=threading.Event().wait, daemon=True).start()
