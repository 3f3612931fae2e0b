"""A thread that goes within the grace, for the text of a test: not after some time, but after the second look."""

from __future__ import annotations

LINGERS = """
import gc
import sys
import threading

def lingers(name):
    # the judge collects everything before it blames anything, and what is young before each look
    is_judged, looked = threading.Event(), threading.Event()

    def on_collection(phase, info):
        if phase == "stop" and info["generation"] == 2:
            is_judged.set()
        elif phase == "stop" and is_judged.is_set() and sys._getframe(1).f_code.co_filename.endswith("young.py"):
            looks.append(phase)
            if len(looks) == 2:
                gc.callbacks.remove(on_collection)
                looked.set()

    looks = []
    gc.callbacks.append(on_collection)
    thread = threading.Thread(target=looked.wait, name=name, daemon=True)
    thread.start()
"""
