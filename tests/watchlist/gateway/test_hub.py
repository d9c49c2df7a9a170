from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from feeds.wire import Update, decode, encode
from tests.watchlist.gateway.fakes import FakeTransport
from watchlist.gateway.hub import Hub
from watchlist.gateway.outbox import Outbox

SYMBOLS = ["AAPL", "BRK.B", "BTC/USD", "^GSPC"]


class Bench:
    """A hub with what surrounds it."""

    def __init__(self):
        self.due = []
        self.wanted = []
        self.hub = Hub(self.due.append, self.wanted.append, self.wanted.remove)

    def socket(self, *symbols, room=None):
        transport = FakeTransport(room)
        outbox = Outbox(transport, clock=lambda: 0.0)
        transport.on_drain = outbox.drain
        if symbols:
            self.hub.subscribe(outbox, symbols)
        return outbox

    def publish(self, symbol, seq, again=False, timestamp=1):
        self.hub.take(f"prices.{symbol}".encode(), encode(Update(symbol, 1.0, timestamp, seq)), again=again)

    def flush(self):
        due, self.due[:] = list(self.due), []
        for function in due:
            function()


def seen(outbox):
    return [(update.symbol, update.seq_id) for update in map(decode, outbox.transport.payloads)]


def test_an_update_reaches_all_sockets_of_its_symbol_and_no_other():
    bench = Bench()
    first, second, other = bench.socket("AAPL"), bench.socket("AAPL", "BRK.B"), bench.socket("BRK.B")
    bench.publish("AAPL", 1)
    bench.flush()
    assert (seen(first), seen(second), seen(other)) == ([("AAPL", 1)], [("AAPL", 1)], [])


def test_the_bytes_are_passed_on_unchanged():
    bench = Bench()
    socket = bench.socket("AAPL")
    payload = b'{ "seq_id":1, "symbol":"AAPL","price":1.50,"timestamp":1,"venue":"X"}'
    bench.hub.take(b"prices.AAPL", payload)
    bench.flush()
    assert socket.transport.payloads == [payload]


def test_updates_of_one_flush_are_all_sent_in_their_order_with_one_flush_scheduled():
    bench = Bench()
    socket = bench.socket("AAPL", "BRK.B")
    for seq in (1, 2, 3):
        bench.publish("AAPL", seq)
    bench.publish("BRK.B", 1)
    assert len(bench.due) == 1
    bench.flush()
    assert seen(socket) == [("AAPL", 1), ("AAPL", 2), ("AAPL", 3), ("BRK.B", 1)]


def test_what_is_not_newer_is_dropped_and_counted():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.publish("AAPL", 5)
    bench.publish("AAPL", 5)
    bench.publish("AAPL", 4)
    bench.publish("AAPL", 4, again=True)
    bench.flush()
    assert seen(socket) == [("AAPL", 5)]
    assert bench.hub.counts.stale == 2


def test_what_is_malformed_or_unwanted_is_dropped_and_counted():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.hub.take(b"prices.AAPL", b"not json")
    bench.hub.take(b"prices.AAPL", encode(Update("GOOG", 1.0, 1, 1)))
    bench.publish("GOOG", 1)
    bench.flush()
    assert seen(socket) == []
    assert (bench.hub.counts.malformed, bench.hub.counts.unwanted) == (2, 1)


def test_a_gap_in_the_numbers_is_counted():
    bench = Bench()
    bench.socket("AAPL")
    for seq in (1, 2, 5, 6):
        bench.publish("AAPL", seq, timestamp=seq)
    assert bench.hub.counts.gaps == 1
    assert bench.hub.newest == 6


def test_a_later_socket_gets_the_newest_value_at_once_and_no_update_twice():
    bench = Bench()
    bench.socket("AAPL")
    bench.publish("AAPL", 1)
    late = bench.socket("AAPL")
    assert seen(late) == [("AAPL", 1)]
    bench.flush()
    bench.publish("AAPL", 2)
    bench.flush()
    assert seen(late) == [("AAPL", 1), ("AAPL", 2)]


def test_a_symbol_is_asked_for_once_and_given_back_with_its_last_socket():
    bench = Bench()
    first, second = bench.socket("AAPL"), bench.socket("AAPL")
    assert bench.wanted == bench.hub.symbols == ["AAPL"]
    assert bench.hub.subscriptions == 2
    bench.hub.leave(first)
    assert bench.wanted == ["AAPL"]
    bench.hub.unsubscribe(second, ["AAPL", "never held"])
    assert bench.wanted == bench.hub.symbols == []


def test_a_symbol_that_comes_back_starts_from_what_is_read_then():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.publish("AAPL", 9)
    bench.hub.unsubscribe(socket, ["AAPL"])
    bench.flush()
    bench.hub.subscribe(socket, ["AAPL"])
    bench.publish("AAPL", 3, again=True)
    bench.flush()
    assert seen(socket) == [("AAPL", 9), ("AAPL", 3)]


def test_nothing_of_a_symbol_follows_its_unsubscribe():
    bench = Bench()
    socket = bench.socket("AAPL", "BRK.B", room=0)
    bench.publish("AAPL", 1)
    bench.flush()
    bench.hub.unsubscribe(socket, ["AAPL"])
    bench.publish("AAPL", 2)
    bench.publish("BRK.B", 1)
    bench.flush()
    socket.transport.make_room()
    assert seen(socket) == [("BRK.B", 1)]


def test_a_stalled_socket_does_not_hold_up_its_cohort():
    bench = Bench()
    stalled, healthy = bench.socket("AAPL", room=0), bench.socket("AAPL")
    for seq in range(1, 6):
        bench.publish("AAPL", seq)
        bench.flush()
    assert len(seen(healthy)) == 5
    stalled.transport.make_room()
    assert seen(stalled) == [("AAPL", 5)]


def test_subscribing_again_to_what_is_held_changes_nothing():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.publish("AAPL", 1)
    bench.flush()
    bench.hub.subscribe(socket, ["AAPL"])
    assert seen(socket) == [("AAPL", 1)]
    assert bench.hub.subscriptions == 1


class HubMachine(RuleBasedStateMachine):
    """Any order of subscribe, unsubscribe, publish, flush, stall, drain and leave keeps the promises of a socket."""

    sockets = Bundle("sockets")

    def __init__(self):
        super().__init__()
        self.bench = Bench()
        self.alive = []
        self.seq = dict.fromkeys(SYMBOLS, 0)
        self.checked = {}

    @rule(target=sockets, room=st.none() | st.integers(0, 300))
    def connect(self, room):
        outbox = self.bench.socket(room=room)
        self.alive.append(outbox)
        return outbox

    @rule(socket=sockets, symbols=st.lists(st.sampled_from(SYMBOLS), unique=True))
    def subscribe(self, socket, symbols):
        self.bench.hub.subscribe(socket, symbols)

    @rule(socket=sockets, symbols=st.lists(st.sampled_from(SYMBOLS), unique=True))
    def unsubscribe(self, socket, symbols):
        self.bench.hub.unsubscribe(socket, symbols)

    @rule(symbol=st.sampled_from(SYMBOLS), step=st.integers(-2, 3))
    def publish(self, symbol, step):
        quote = self.bench.hub._quotes.get(f"prices.{symbol}".encode())
        if quote is None or quote.order[1] < self.seq[symbol]:
            step = max(step, 1)  # what the hub has forgotten it cannot know to be older
        seq = max(1, self.seq[symbol] + step)
        self.bench.publish(symbol, seq, timestamp=seq)
        if self.bench.hub.symbols.count(symbol):
            self.seq[symbol] = max(self.seq[symbol], seq)

    @rule()
    def flush(self):
        self.bench.flush()

    @rule(socket=sockets, room=st.none() | st.integers(0, 300))
    def drain(self, socket, room):
        socket.transport.make_room(room)

    @rule(target=sockets, socket=consumes(sockets))
    def leave(self, socket):
        self.bench.hub.leave(socket)
        self.alive.remove(socket)
        return multiple()

    @invariant()
    def a_socket_holds_at_most_a_slot_a_symbol(self):
        for outbox in self.alive:
            assert len(outbox) <= len(outbox.symbols)

    @invariant()
    def what_is_wanted_is_what_sockets_hold(self):
        held = set().union(*(outbox.symbols for outbox in self.alive))
        assert set(self.bench.hub.symbols) == set(self.bench.wanted) == held
        assert self.bench.hub.subscriptions == sum(len(outbox.symbols) for outbox in self.alive)

    def teardown(self):
        self.bench.flush()
        for outbox in self.alive:
            outbox.transport.make_room()
            self.check_socket(outbox)
            self.bench.hub.leave(outbox)
        assert self.bench.hub.symbols == self.bench.wanted == []
        assert not self.bench.hub._cohorts

    def check_socket(self, outbox):
        last = {}
        for symbol, seq in seen(outbox):
            assert seq >= last.get(symbol, 0), "an older update after a newer"
            last[symbol] = seq
        for symbol in outbox.symbols:
            newest = self.bench.hub._quotes[f"prices.{symbol}".encode()].order[1]
            if newest > 0:
                assert last[symbol] == newest, "the last value did not arrive"


TestHubMachine = HubMachine.TestCase
TestHubMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
