"""A state machine that plays the hub with random clients, publications, losses and resyncs."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tests.support.gateway.hub import MAX_UPDATES, HubHarness, received_updates
from tests.support.times import at
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import MAX_REPLY_BYTES
from watchlist.gateway.messages import make_state

SYMBOLS = ["AAPL", "BRK.B", "BTC/USD", "^GSPC"]
MAX_STATE_BYTES = 100
COMPRESSOR = Compressor()


def encode_ticker(symbol, number):
    return msgspec.json.encode({"type": "ticker", "symbol": symbol, "base": number})


def measure_backlog(outbox):
    """Returns what a stalled socket keeps: bytes of replies, bytes of state messages, losses, updates."""
    replies = sum(len(message.frame) for message in outbox._replies)
    states = sum(len(message.frame) for message in outbox._states.values())
    return replies, states, len(outbox._losses), len(outbox._backlog)


class HubMachine(RuleBasedStateMachine):
    """Any order of calls preserves the order of updates, delivers the last one and bounds memory."""

    sockets = Bundle("sockets")
    deliveries = st.fixed_dictionaries(
        {
            "batch": st.booleans(),
            "keep_all": st.booleans(),
            "hertz": st.sampled_from([0, 4, 10]),
            "compressor": st.sampled_from([None, COMPRESSOR]),
        }
    )
    symbols = st.lists(st.sampled_from(SYMBOLS), unique=True, min_size=1)

    def __init__(self):
        super().__init__()
        self.harness = HubHarness()
        self.hub = self.harness.hub
        self.connected = []
        self.store = {}  # The newest seq_id of each symbol that was written, published or not.
        self.lagging = set()  # Symbols whose newest update the hub has not received.
        self.state_number = 0
        COMPRESSOR.busy = False

    @rule(target=sockets, symbols=symbols, delivery=deliveries)
    def connect(self, symbols, delivery):
        outbox = self.harness.open_socket(**delivery)
        self.connected.append(outbox)
        self.subscribe(outbox, symbols)
        return outbox

    @rule(socket=sockets, symbols=symbols)
    def subscribe(self, socket, symbols):
        if socket.closed:
            return
        for symbol in symbols:
            if symbol not in self.hub.symbols and symbol in self.store:
                self.lagging.add(symbol)  # The intake has not read the stored quote yet.
        self.hub.subscribe(socket, symbols)

    @rule(socket=sockets, symbols=symbols)
    def unsubscribe(self, socket, symbols):
        self.hub.unsubscribe(socket, symbols)

    @rule(symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=10), flush=st.booleans())
    def publish(self, symbols, flush):
        for symbol in symbols:
            self.write(symbol, 1)
            self.harness.publish(symbol, self.store[symbol], timestamp=at(self.store[symbol]))
            self.lagging.discard(symbol)
            if flush:
                self.hub.flush()

    @rule(symbol=st.sampled_from(SYMBOLS), step=st.integers(1, 3))
    def lose_publication(self, symbol, step):
        """Writes an update to the store whose publication is lost in an outage."""
        self.write(symbol, step)
        if symbol in self.hub.symbols:
            self.lagging.add(symbol)

    @rule(symbol=st.sampled_from(SYMBOLS), steps_back=st.integers(0, 3))
    def publish_again(self, symbol, steps_back):
        """Publishes a known or an older update. A lagging hub would rightly accept one that is newer to it."""
        if symbol in self.store and symbol not in self.lagging and symbol in self.hub.symbols:
            seq_id = max(1, self.store[symbol] - steps_back)
            self.harness.publish(symbol, seq_id, timestamp=at(seq_id))

    @rule()
    def resync(self):
        """Reads all subscribed symbols from the store, as the intake does."""
        for symbol in self.hub.symbols:
            if symbol in self.store:
                seq_id = self.store[symbol]
                self.harness.publish(symbol, seq_id, timestamp=at(seq_id), from_store=True)
        self.lagging.clear()

    @rule(socket=sockets, times=st.integers(1, 9))
    def reply(self, socket, times):
        """Sends replies. A client that does not read is closed when too many of them wait."""
        payload = b'{"type":"ack","x":"' + b"x" * (MAX_REPLY_BYTES // 8) + b'"}'
        if not all(socket.reply(payload) for _ in range(times)):
            self.hub.remove(socket)

    @rule(symbols=symbols)
    def change_tickers(self, symbols):
        """Sends changed tickers to the sockets with their symbols."""
        self.state_number += 1
        messages = {symbol: make_state(symbol, encode_ticker(symbol, self.state_number)) for symbol in symbols}
        for socket in self.connected:
            socket.send([messages[symbol] for symbol in sorted(socket.symbols.intersection(messages))])

    @rule(socket=sockets, delivery=deliveries)
    def change_delivery(self, socket, delivery):
        self.hub.change_delivery(socket, Delivery(**delivery))

    @rule(busy=st.booleans())
    def use_cpu(self, busy):
        COMPRESSOR.busy = busy

    @rule()
    def run_timers(self):
        self.harness.run_timers()

    @rule(socket=sockets)
    def stall(self, socket):
        socket.transport.room = 0

    @rule(socket=sockets, room=st.none() | st.integers(1, 300))
    def read(self, socket, room):
        """The client reads up to `room` bytes, or everything."""
        socket.transport.make_room(room)

    @rule(target=sockets, socket=consumes(sockets))
    def leave(self, socket):
        self.hub.remove(socket)
        self.connected.remove(socket)
        return multiple()

    def write(self, symbol, step):
        self.store[symbol] = self.store.get(symbol, 0) + step

    @invariant()
    def the_backlog_is_bounded(self):
        for outbox in self.connected:
            symbols = len(outbox.symbols)
            replies, states, losses, updates = measure_backlog(outbox)
            assert replies <= MAX_REPLY_BYTES
            assert states <= 2 * symbols * MAX_STATE_BYTES  # Per symbol its ticker, and a loss that is being sent.
            assert len(outbox._states) <= 2 * symbols
            assert losses <= symbols
            assert updates <= symbols + (MAX_UPDATES if outbox.delivery.keep_all else 0)
            assert len(outbox.transport.rest) < MAX_REPLY_BYTES + 100  # A partly written frame.

    @invariant()
    def requested_symbols_are_those_that_sockets_have(self):
        subscribed = set().union(*(outbox.symbols for outbox in self.connected))
        assert set(self.hub.symbols) == set(self.harness.requested) == subscribed
        assert self.hub.subscriptions == sum(len(outbox.symbols) for outbox in self.connected)

    def teardown(self):
        self.resync()
        self.harness.run_interval()
        for outbox in self.connected:
            outbox.transport.make_room()
            self.check_received(outbox)
            self.hub.remove(outbox)
        assert self.hub.symbols == self.harness.requested == []
        assert not self.hub._cohorts

    def check_received(self, outbox):
        last = {}
        for symbol, seq_id in received_updates(outbox):
            assert seq_id >= last.get(symbol, 0), "an older update after a newer one"
            last[symbol] = seq_id
        for symbol in outbox.symbols:
            assert last.get(symbol) == self.store.get(symbol), "the last update did not arrive"


TestHubMachine = HubMachine.TestCase
TestHubMachine.settings = settings(max_examples=200, stateful_step_count=50)
