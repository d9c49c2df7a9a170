import ast
from collections import Counter
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.application.use_cases import read_user_options
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract
from importlinter.domain.contract import Contract

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

configure()
OPTIONS = read_user_options(str(ROOT / "pyproject.toml"))
CLASSES = {"forbidden": ForbiddenContract, "layers": LayersContract, "protected": ProtectedContract}
CONTRACTS = {options["name"]: options for options in OPTIONS.contracts_options}

# Each contract with imports that must break it. The module `probe` is new, so no contract can name it.
BROKEN_IMPORTS = [
    ("stockwatch is above watchlist, watchlist is above feeds", "feeds.wire.probe", "watchlist.models"),
    ("stockwatch is above watchlist, watchlist is above feeds", "feeds.store.probe", "stockwatch.settings"),
    ("stockwatch is above watchlist, watchlist is above feeds", "watchlist.page.probe", "stockwatch.settings"),
    ("Layers of watchlist", "watchlist.page.probe", "watchlist.gateway.protocol"),
    ("Layers of watchlist", "watchlist.lists.probe", "watchlist.page.rows"),
    ("Layers of watchlist", "watchlist.lists.probe", "watchlist.alerts.evaluator"),
    ("Layers of watchlist", "watchlist.prices.probe", "watchlist.lists.rules"),
    ("Layers of watchlist", "watchlist.formatting.probe", "watchlist.prices.change"),
    ("Layers of watchlist", "watchlist.api.probe", "watchlist.page.rows"),
    ("Layers of the gateway", "watchlist.gateway.fanout.probe", "watchlist.gateway.sockets.session"),
    ("Layers of the gateway", "watchlist.gateway.sockets.probe", "watchlist.gateway.gateway"),
    ("Layers of the gateway", "watchlist.gateway.sockets.probe", "watchlist.gateway.streams.problem"),
    ("Layers of the gateway", "watchlist.gateway.streams.probe", "watchlist.gateway.front.front"),
    ("Layers of the gateway", "watchlist.gateway.fanout.probe", "watchlist.gateway.relay.layer"),
    ("Layers of feeds", "feeds.recorder.probe", "feeds.processor.loop"),
    ("Layers of feeds", "feeds.kafka.probe", "feeds.generator.loop"),
    ("Layers of feeds", "feeds.store.probe", "feeds.kafka.consumer"),
    ("Layers of feeds", "feeds.wire.probe", "feeds.records"),
    ("Layers of the feeder", "feeds.feeder.trades.probe", "feeds.feeder.network.connection"),
    ("Layers of the feeder", "feeds.feeder.network.probe", "feeds.feeder.source_feed"),
    ("watchlist imports neither programs nor Kafka nor sources of feeds", "watchlist.page.probe", "feeds.kafka.topic"),
    ("watchlist imports neither programs nor Kafka nor sources of feeds", "watchlist.probe", "feeds.recorder.bars"),
    ("Only feeds.kafka imports the Kafka client", "feeds.processor.probe", "confluent_kafka"),
    ("Only feeds.kafka imports the Kafka client", "stockwatch.local.probe", "confluent_kafka"),
    ("Only commands import the doctor", "stockwatch.serving.probe", "stockwatch.doctor.checking"),
]

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
            "difflib",
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


@pytest.fixture(autouse=True)
def readable_contracts(monkeypatch: pytest.MonkeyPatch):
    """Omits the check for misspelled options, which `make check` does.

    It reads all attributes of the class. Once Twisted is imported, zope.interface has added one that cannot be read.
    """
    monkeypatch.setattr(Contract, "_get_unrecognized_option_errors", classmethod(lambda *_: {}))


def make_contract(name: str) -> Contract:
    options = CONTRACTS[name]
    return CLASSES[options["type"]](name, OPTIONS.session_options, options)


def is_kept(name: str, graph: grimp.ImportGraph) -> bool:
    return make_contract(name).check(deepcopy(graph), verbose=False).kept


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_contract_is_kept(name: str):
    assert is_kept(name, import_graph())


@pytest.mark.parametrize(("name", "importer", "imported"), BROKEN_IMPORTS)
def test_a_new_module_with_a_forbidden_import_breaks_its_contract(name: str, importer: str, imported: str):
    graph = deepcopy(import_graph())
    assert imported in graph.modules
    graph.add_module(importer)
    graph.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    assert not is_kept(name, graph)


@pytest.mark.parametrize("name", ["Layers of watchlist", "Layers of feeds"])
def test_a_new_module_that_no_layer_contains_breaks_the_contract(name: str):
    graph = deepcopy(import_graph())
    graph.add_module(f"{CONTRACTS[name]['containers'][0]}.probe")
    assert not is_kept(name, graph)


def test_every_contract_has_an_import_that_breaks_it():
    assert {name for name, _, _ in BROKEN_IMPORTS} == set(CONTRACTS)
