import ast
from collections import Counter
from pathlib import Path

import grimp
import pytest

from tests.support.imports import find_cycles, import_graph
from tests.support.source_files import (
    PACKAGES,
    ROOT,
    declares_purity,
    module_name,
    package_modules,
    pure_modules,
    python_files,
)

MAX_MODULE_LINES = 300
MAX_MODULES_PER_FOLDER = 16
# Libraries without input, output, clock, threads, event loops or global state. Every other library is impure.
PURE_LIBRARIES = frozenset(
    {
        *(
            "abc",
            "array",
            "base64",
            "bisect",
            "collections",
            "copy",
            "csv",
            "dataclasses",
            "datetime",
            "decimal",
            "enum",
            "functools",
        ),
        *("hashlib", "heapq", "html", "io", "ipaddress", "itertools", "json", "math", "operator", "random", "re"),
        *("struct", "types", "typing", "unicodedata", "zlib", "zoneinfo"),
        *("durationpy", "msgspec"),
    }
)
PURE_IMPORTS = ("from binascii import crc_hqx", "from django.utils.safestring import", "from urllib.parse import")
"""Lines that import a pure part of an impure library."""
DECLARED_PURE = frozenset(pure_modules())


def is_project_module(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def impure_imports(graph: grimp.ImportGraph, module: str) -> list[str]:
    """Returns the import lines of a module that make it impure, leaving out what it reaches through others."""
    return [
        f"{module}: {details['line_contents']}"
        for library in graph.find_modules_directly_imported_by(module)
        if not is_project_module(library) and library not in PURE_LIBRARIES
        for details in graph.get_import_details(importer=module, imported=library)
        if not details["line_contents"].startswith(PURE_IMPORTS)
    ]


def reached_impure_imports(module: str) -> list[str]:
    """Returns the impure import lines of a module and of all project modules that it reaches."""
    graph = import_graph()
    reached = {module, *filter(is_project_module, graph.find_upstream_modules(module))}
    return sorted(line for name in reached for line in impure_imports(graph, name))


@pytest.mark.parametrize("module", sorted(package_modules()))
def test_a_module_is_pure_exactly_if_its_docstring_says_so(module: str):
    reasons = reached_impure_imports(module)
    if module in DECLARED_PURE:
        assert reasons == [], f'{module} says "Pure" and is not'
    else:
        assert reasons != [], f'{module} is pure: its docstring must say "Pure."'


def test_the_rule_tells_pure_modules_from_impure_ones():
    graph = import_graph()
    assert impure_imports(graph, "stockwatch.settings") != []
    assert any("redis" in line for line in reached_impure_imports("watchlist.page.context"))
    assert not declares_purity(ROOT / "stockwatch" / "settings.py")
    assert declares_purity(ROOT / "stockwatch" / "environment.py")


def test_no_modules_import_each_other():
    assert find_cycles(import_graph()) == []


def test_modules_that_import_each_other_are_found():
    graph = grimp.ImportGraph()
    for importer, imported in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]:
        graph.add_import(importer=importer, imported=imported)
    assert find_cycles(graph) == [["a", "b", "c"]]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_more_than_300_lines(package: str):
    lengths = {module_name(path): len(path.read_text().splitlines()) for path in python_files(ROOT / package)}
    assert {name: length for name, length in lengths.items() if length > MAX_MODULE_LINES} == {}


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_no_folder_has_more_than_16_modules(package: str):
    counts = Counter(path.parent for path in python_files(ROOT / package) if path.name != "__init__.py")
    too_large = {path.relative_to(ROOT).as_posix(): count for path, count in counts.items()}
    assert {folder: count for folder, count in too_large.items() if count > MAX_MODULES_PER_FOLDER} == {}


def imported_names(path: Path) -> list[str]:
    """Returns the modules that a file imports; for `from a import b` both `a` and `a.b`."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def test_no_module_imports_a_test_module_or_a_conftest():
    files = [path for package in [*PACKAGES, "tests"] for path in python_files(ROOT / package)]
    test_modules = {module_name(path) for path in files if path.name.startswith(("test_", "conftest"))}
    offenders = {module_name(path): sorted(test_modules.intersection(imported_names(path))) for path in files}
    assert {name: imported for name, imported in offenders.items() if imported} == {}
