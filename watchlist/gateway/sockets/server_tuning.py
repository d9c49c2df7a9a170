"""Tunes the server process for many sockets.

`AttachTransport` and `Upgrades` call `tune_server` at the first connection.
"""

import gc
import sys

GC_THRESHOLD = 20_000
"""How many objects, such as lists and dicts, are created between two garbage collections.

Python's default is 700. One socket creates about thirty objects.
"""
SWITCH_SECONDS = 0.001
"""How long another thread may keep the interpreter while the event loop waits.

Python's default is 5 ms.
"""


def tune_server() -> None:
    """Applies all tuning. Call this function once per process, when all modules are loaded."""
    sys.setswitchinterval(SWITCH_SECONDS)
    disable_handshake_formatting()
    freeze_loaded_objects()


def disable_handshake_formatting() -> None:
    """Stops autobahn from formatting connection parameters for a debug line."""
    # The formatting takes 29% of the CPU time of accepting a connection.
    module = sys.modules.get("autobahn.websocket.protocol")
    if module is not None and hasattr(module, "pformat"):
        module.pformat = lambda _: ""  # type: ignore[attr-defined]


def freeze_loaded_objects() -> None:
    """Exempts all existing objects from garbage collection, and lets the collector run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
