from copy import deepcopy

import grimp
import pytest
from importlinter.application.use_cases import read_user_options
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract
from importlinter.domain.contract import Contract

from tests.support.imports import import_graph
from tests.support.source_files import ROOT

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
]


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
