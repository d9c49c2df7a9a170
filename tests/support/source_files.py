"""Finds the project's Python files, and the modules that declare themselves pure.

The docstring of such a module has the sentence "Pure." or a sentence that starts with "Pure:". This module imports no
code of the project: the coverage plugin imports this module before the measurement starts.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("stockwatch", "feeds", "watchlist")
PURE_SENTENCE = re.compile(r"(?:^|[.!?)`]\s+|\n\s*)Pure[.:]")


def python_files(folder: Path) -> Iterator[Path]:
    """Yields the Python files below a folder, except generated migrations."""
    return (path for path in sorted(folder.rglob("*.py")) if "migrations" not in path.parts)


def package_modules() -> dict[str, Path]:
    """Returns a dict from module name to file, for each module that contains code."""
    files = [path for package in PACKAGES for path in python_files(ROOT / package)]
    return {module_name(path): path for path in files if _has_code(path)}


def pure_modules() -> dict[str, Path]:
    """Returns a dict from module name to file, for each module that declares itself pure."""
    return {name: path for name, path in package_modules().items() if declares_purity(path)}


def module_name(path: Path) -> str:
    """Returns the dotted name of the module in a file, such as `feeds.store.keys`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def declares_purity(path: Path) -> bool:
    """Returns whether the docstring of a module declares the module pure."""
    return PURE_SENTENCE.search(ast.get_docstring(_parse(path)) or "") is not None


def _has_code(path: Path) -> bool:
    return len(_parse(path).body) > 1 or (path.stat().st_size > 0 and ast.get_docstring(_parse(path)) is None)


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())
