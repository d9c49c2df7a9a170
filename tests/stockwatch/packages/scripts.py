"""Loads the scripts in `.ci` that keep requirements*.txt, so that tests can call their functions."""

import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def load_script(name: str) -> dict[str, Any]:
    """Returns the names that a script in `.ci` defines. Its function `main` is not called."""
    folder = str(ROOT / ".ci")
    if folder not in sys.path:
        sys.path.append(folder)  # the scripts import `systems` from their folder
    return runpy.run_path(str(ROOT / ".ci" / name))
