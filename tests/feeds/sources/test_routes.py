from feeds.sources import routes
from feeds.sources.events import Subscribed, SymbolState, SymbolStatus
from feeds.sources.routes import Routes, chunks


def test_a_symbol_is_routed_from_its_acknowledgement_until_it_is_dropped():
    known = Routes()
    known.ask(["A", "B"])
    assert known.is_asked("A")
    assert not known.is_acknowledged("A")
    assert known.acknowledge(["A", "C"]) == [Subscribed(("A",))]
    assert [known.is_acknowledged(native) for native in "ABC"] == [True, False, False]
    known.drop(["A", "C"])
    assert not known.is_acknowledged("A")
    assert not known.is_asked("A")
    assert known.acknowledge(["A"]) == []


def test_states_are_kept_for_symbols_that_are_acknowledged_later():
    known = Routes()
    assert known.set_state("A", SymbolState.HALTED) == []
    known.ask(["A", "B"])
    halted, trading = SymbolStatus("A", SymbolState.HALTED), SymbolStatus("A", SymbolState.TRADING)
    assert known.acknowledge(["A", "B"]) == [Subscribed(("A", "B")), halted]
    assert known.set_state("A", SymbolState.HALTED) == []
    assert known.set_state("A", SymbolState.TRADING) == [trading]


def test_the_number_of_kept_states_is_bounded():
    known = Routes()
    for number in range(routes.MAX_STATES + 10):
        known.set_state(f"A{number}", SymbolState.HALTED)
    natives = ["A0", f"A{routes.MAX_STATES + 1}"]
    known.ask(natives)
    assert known.acknowledge(natives) == [Subscribed(tuple(natives)), SymbolStatus("A0", SymbolState.HALTED)]
    assert known.set_state("A0", SymbolState.TRADING) == [SymbolStatus("A0", SymbolState.TRADING)]


def test_chunks_have_at_most_the_given_size():
    assert chunks("ABCDE", 2) == [("A", "B"), ("C", "D"), ("E",)]
    assert chunks([], 2) == []
