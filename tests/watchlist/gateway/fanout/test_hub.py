import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from feeds.wire import Update, encode
from tests.support.gateway.fakes import FakeTransport
from watchlist.gateway.fanout.cohort import PHASES
from watchlist.gateway.fanout.delivery import LARGEST_BATCH, Delivery, fact
from watchlist.gateway.fanout.hub import FLUSH_AFTER, FOR_COHORT, LATEST_FLUSH, Hub
from watchlist.gateway.fanout.outbox import LARGEST_REPLIES, Outbox

SYMBOLS = ["AAPL", "BRK.B", "BTC/USD", "^GSPC"]


class Bench:
    """A hub with what surrounds it."""

    def __init__(self):
        self.due = []
        self.delays = []
        self.wanted = []
        self.hub = Hub(self.schedule, self.wanted.append, self.wanted.remove)

    def schedule(self, delay, function):
        self.delays.append(delay)
        self.due.append(function)

    def socket(self, *symbols, room=None, **delivery):
        transport = FakeTransport(room)
        outbox = Outbox(transport, clock=lambda: 0.0, delivery=Delivery(**delivery), most=3)
        transport.on_drain = outbox.drain
        if symbols:
            self.hub.subscribe(outbox, symbols)
        return outbox

    def publish(self, symbol, seq, read=False, timestamp=1):
        self.hub.take(f"prices.{symbol}".encode(), encode(Update(symbol, 1.0, timestamp, seq)), read=read)

    def flush(self):
        due, self.due[:] = list(self.due), []
        for function in due:
            function()

    def beat(self):
        """All paced cohorts once, at least."""
        for _ in range(PHASES + 1):
            self.flush()


def seen(outbox):
    updates = []
    for payload in outbox.transport.payloads:
        value = msgspec.json.decode(payload)
        updates += value if isinstance(value, list) else [value]
    return [(update["symbol"], update["seq_id"]) for update in updates if "type" not in update]


def lost(outbox):
    values = [msgspec.json.decode(payload) for payload in outbox.transport.payloads]
    return [(value["from"], value["to"]) for value in values if isinstance(value, dict) and value.get("type") == "lost"]


def test_an_update_reaches_all_sockets_of_its_symbol_and_no_other():
    bench = Bench()
    first, second, other = bench.socket("AAPL"), bench.socket("AAPL", "BRK.B"), bench.socket("BRK.B")
    bench.publish("AAPL", 1)
    bench.flush()
    assert (seen(first), seen(second), seen(other)) == ([("AAPL", 1)], [("AAPL", 1)], [])


def test_a_flush_waits_longer_where_the_last_one_had_many_cohorts():
    bench = Bench()
    for number in range(2000):
        bench.socket("AAPL", f"S{number}")
    bench.socket("GOOG")
    for seq, symbol in enumerate(["AAPL", "AAPL", "GOOG", "AAPL"], 1):
        bench.publish(symbol, seq)
        bench.flush()
    bench.publish("AAPL", 9)
    assert bench.delays == [FLUSH_AFTER, LATEST_FLUSH, LATEST_FLUSH, FLUSH_AFTER + FOR_COHORT, LATEST_FLUSH]


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
    bench.publish("AAPL", 4, read=True)
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


def test_a_socket_that_left_is_let_go_of():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.hub.leave(socket)
    assert socket.transport.released


def test_a_symbol_that_comes_back_starts_from_what_is_read_then():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.publish("AAPL", 9)
    bench.hub.unsubscribe(socket, ["AAPL"])
    bench.flush()
    bench.hub.subscribe(socket, ["AAPL"])
    bench.publish("AAPL", 3, read=True)
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


def test_subscribing_read_to_what_is_held_changes_nothing():
    bench = Bench()
    socket = bench.socket("AAPL")
    bench.publish("AAPL", 1)
    bench.flush()
    bench.hub.subscribe(socket, ["AAPL"])
    assert seen(socket) == [("AAPL", 1)]
    assert bench.hub.subscriptions == 1


def test_a_batch_is_one_frame_of_unchanged_updates():
    bench = Bench()
    socket = bench.socket("AAPL", "BRK.B", batch=True)
    bench.publish("AAPL", 1)
    bench.publish("AAPL", 2)
    bench.publish("BRK.B", 1)
    bench.flush()
    (payload,) = socket.transport.payloads
    parts = [encode(Update(symbol, 1.0, 1, seq)) for symbol, seq in (("AAPL", 1), ("AAPL", 2), ("BRK.B", 1))]
    assert payload == b"[" + b",".join(parts) + b"]"


def test_a_large_batch_is_split():
    bench = Bench()
    socket = bench.socket("AAPL", batch=True)
    for seq in range(1, 1001):
        bench.publish("AAPL", seq)
    bench.flush()
    assert [seq for _, seq in seen(socket)] == list(range(1, 1001))
    assert len(socket.transport.payloads) > 1
    assert max(map(len, socket.transport.payloads)) <= LARGEST_BATCH + 1000


def test_a_paced_socket_gets_the_newest_at_its_beat_and_others_at_once():
    bench = Bench()
    paced, prompt = bench.socket("AAPL", hertz=4), bench.socket("AAPL")
    for seq in (1, 2, 3):
        bench.publish("AAPL", seq)
        bench.hub.flush()
    assert seen(prompt) == [("AAPL", 1), ("AAPL", 2), ("AAPL", 3)]
    assert seen(paced) == []
    bench.beat()
    assert seen(paced) == [("AAPL", 3)]
    bench.beat()
    assert seen(paced) == [("AAPL", 3)]


def test_a_newcomer_of_a_paced_cohort_neither_hurries_the_others_nor_gets_its_snapshot_twice():
    bench = Bench()
    first = bench.socket("AAPL", hertz=4)
    bench.publish("AAPL", 1)
    second = bench.socket("AAPL", hertz=4)
    assert (seen(first), seen(second)) == ([], [("AAPL", 1)])
    bench.beat()
    assert (seen(first), seen(second)) == ([("AAPL", 1)], [("AAPL", 1)])


def test_a_paced_socket_that_changes_its_symbols_loses_nothing():
    bench = Bench()
    socket = bench.socket("AAPL", hertz=4)
    bench.publish("AAPL", 1)
    bench.hub.subscribe(socket, ["BRK.B"])
    bench.beat()
    assert seen(socket) == [("AAPL", 1)]


def test_pacers_rest_when_nobody_is_left():
    bench = Bench()
    bench.hub.leave(bench.socket("AAPL", hertz=4))
    bench.flush()
    assert bench.due == []


def test_without_a_snapshot_only_what_is_published_from_now_on_comes():
    bench = Bench()
    eager = bench.socket("AAPL")
    bench.publish("AAPL", 1)
    bench.flush()
    late, paced = bench.socket("AAPL", snapshot=False), bench.socket("AAPL", snapshot=False, hertz=4)
    fresh, fresh_paced = bench.socket("BRK.B", snapshot=False), bench.socket("BRK.B", snapshot=False, hertz=4)
    waiting = bench.socket("BRK.B", hertz=4)
    bench.publish("BRK.B", 1, read=True)
    bench.beat()
    assert seen(late) == seen(paced) == seen(fresh) == seen(fresh_paced) == []
    assert seen(waiting) == [("BRK.B", 1)]
    bench.publish("AAPL", 2)
    bench.publish("BRK.B", 2, read=True)
    bench.beat()
    assert seen(late) == seen(paced) == [("AAPL", 2)]
    assert seen(fresh) == seen(fresh_paced) == [("BRK.B", 2)]
    assert len(seen(eager)) == 2


def test_in_mode_all_a_slow_socket_gets_the_last_updates_and_hears_what_it_lost():
    bench = Bench()
    socket = bench.socket("AAPL", "BRK.B", all=True, room=0)
    for seq in range(1, 6):
        bench.publish("AAPL", seq)
        bench.flush()
    bench.publish("BRK.B", 1)
    bench.flush()
    socket.transport.make_room()
    assert lost(socket) == [(1, 3)]
    assert seen(socket) == [("AAPL", 4), ("AAPL", 5), ("BRK.B", 1)]


def test_in_mode_all_a_forgotten_symbol_leaves_neither_updates_nor_losses():
    bench = Bench()
    socket = bench.socket("AAPL", "BRK.B", all=True, room=0)
    for seq in range(1, 6):
        bench.publish("AAPL", seq)
        bench.publish("BRK.B", seq)
        bench.flush()
    bench.hub.unsubscribe(socket, ["AAPL"])
    socket.transport.make_room()
    assert lost(socket) == [(1, 3)]
    assert seen(socket) == [("BRK.B", 4), ("BRK.B", 5)]


def test_a_socket_that_changes_its_mode_while_it_is_slow_keeps_what_waits():
    bench = Bench()
    socket = bench.socket("AAPL", room=0)
    bench.publish("AAPL", 1)
    bench.flush()
    bench.hub.change_delivery(socket, Delivery(all=True))
    bench.hub.change_delivery(socket, Delivery(all=True))
    bench.publish("AAPL", 2)
    bench.flush()
    assert len(socket) == 2
    bench.hub.change_delivery(socket, Delivery(batch=True))
    socket.transport.make_room()
    assert seen(socket) == [("AAPL", 2)]


LARGEST_FACT = 100


def encode_ticker(symbol, number):
    return msgspec.json.encode({"type": "ticker", "symbol": symbol, "base": number})


def waiting(outbox):
    """What a socket that does not read keeps: bytes of replies and of facts, losses and updates."""
    replies, facts = (sum(len(item[1]) for item in items) for items in (outbox._replies, outbox._facts.values()))
    return replies, facts, len(outbox._losses), len(outbox._backlog)


class HubMachine(RuleBasedStateMachine):
    """Any order of subscribe, unsubscribe, publish, loss, resync, ask, tell, flush, stall, drain and leave keeps the
    promises of a socket, and its memory bounded."""

    sockets = Bundle("sockets")
    deliveries = st.fixed_dictionaries(
        {"batch": st.booleans(), "all": st.booleans(), "hertz": st.sampled_from([0, 4, 10])}
    )
    symbols = st.lists(st.sampled_from(SYMBOLS), unique=True, min_size=1)

    def __init__(self):
        super().__init__()
        self.bench = Bench()
        self.alive = []
        self.store = {}  # the newest of each symbol that was written, published or not
        self.lagging = set()  # symbols of which the hub has not seen the newest
        self.facts = 0

    @rule(target=sockets, symbols=symbols, delivery=deliveries)
    def connect(self, symbols, delivery):
        outbox = self.bench.socket(**delivery)
        self.alive.append(outbox)
        self.subscribe(outbox, symbols)
        return outbox

    @rule(socket=sockets, symbols=symbols)
    def subscribe(self, socket, symbols):
        if socket.closed:
            return
        for symbol in symbols:
            if symbol not in self.bench.hub.symbols and symbol in self.store:
                self.lagging.add(symbol)  # the intake has yet to read what is stored
        self.bench.hub.subscribe(socket, symbols)

    @rule(socket=sockets, symbols=symbols)
    def unsubscribe(self, socket, symbols):
        self.bench.hub.unsubscribe(socket, symbols)

    @rule(symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=10), flush=st.booleans())
    def publish(self, symbols, flush):
        for symbol in symbols:
            self.write(symbol, 1)
            self.bench.publish(symbol, self.store[symbol], timestamp=self.store[symbol])
            self.lagging.discard(symbol)
            if flush:
                self.bench.hub.flush()

    @rule(symbol=st.sampled_from(SYMBOLS), step=st.integers(1, 3))
    def lose(self, symbol, step):
        """Written, and what was published reaches nobody: Redis or the line was away."""
        self.write(symbol, step)
        if symbol in self.bench.hub.symbols:
            self.lagging.add(symbol)

    @rule(symbol=st.sampled_from(SYMBOLS), back=st.integers(0, 3))
    def replay(self, symbol, back):
        """Published once more, or out of order; by its own rule a hub that lags takes what is newer than it has."""
        if symbol in self.store and symbol not in self.lagging and symbol in self.bench.hub.symbols:
            seq = max(1, self.store[symbol] - back)
            self.bench.publish(symbol, seq, timestamp=seq)

    @rule()
    def resync(self):
        """The intake reads all that is wanted from the store."""
        for symbol in self.bench.hub.symbols:
            if symbol in self.store:
                seq = self.store[symbol]
                self.bench.publish(symbol, seq, timestamp=seq, read=True)
        self.lagging.clear()

    @rule(socket=sockets, times=st.integers(1, 9))
    def ask(self, socket, times):
        """A client that reads no answers is closed when too much of them waits."""
        answer = b'{"type":"ack","x":"' + b"x" * (LARGEST_REPLIES // 8) + b'"}'
        if not all(socket.reply(answer) for _ in range(times)):
            self.bench.hub.leave(socket)

    @rule(symbols=symbols)
    def tell(self, symbols):
        """Tickers change: who holds them is told."""
        self.facts += 1
        told = {symbol: fact(symbol, encode_ticker(symbol, self.facts)) for symbol in symbols}
        for socket in self.alive:
            socket.tell([told[symbol] for symbol in sorted(socket.symbols.intersection(told))])

    @rule(socket=sockets, delivery=deliveries)
    def change(self, socket, delivery):
        self.bench.hub.change_delivery(socket, Delivery(**delivery))

    @rule()
    def flush(self):
        self.bench.flush()

    @rule(socket=sockets)
    def stall(self, socket):
        socket.transport.room = 0

    @rule(socket=sockets, room=st.none() | st.integers(1, 300))
    def drain(self, socket, room):
        """The peer reads so much, or all."""
        socket.transport.make_room(room)

    @rule(target=sockets, socket=consumes(sockets))
    def leave(self, socket):
        self.bench.hub.leave(socket)
        self.alive.remove(socket)
        return multiple()

    def write(self, symbol, step):
        self.store[symbol] = self.store.get(symbol, 0) + step
        return self.store[symbol]

    @invariant()
    def what_waits_is_bounded(self):
        for outbox in self.alive:
            symbols = len(outbox.symbols)
            replies, facts, losses, updates = waiting(outbox)
            assert replies <= LARGEST_REPLIES
            assert facts <= 2 * symbols * LARGEST_FACT  # of each symbol its ticker, and a loss that is being told
            assert len(outbox._facts) <= 2 * symbols
            assert losses <= symbols
            assert updates <= symbols + (3 if outbox.delivery.all else 0)
            assert len(outbox.transport.rest) < LARGEST_REPLIES + 100  # the frame that was begun

    @invariant()
    def what_is_wanted_is_what_sockets_hold(self):
        held = set().union(*(outbox.symbols for outbox in self.alive))
        assert set(self.bench.hub.symbols) == set(self.bench.wanted) == held
        assert self.bench.hub.subscriptions == sum(len(outbox.symbols) for outbox in self.alive)

    def teardown(self):
        self.resync()
        self.bench.beat()
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
            assert last.get(symbol) == self.store.get(symbol), "the last value did not arrive"


TestHubMachine = HubMachine.TestCase
TestHubMachine.settings = settings(max_examples=200, stateful_step_count=50)
