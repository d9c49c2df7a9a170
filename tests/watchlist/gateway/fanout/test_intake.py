"""The intake on a fake layer and a fake store."""

import asyncio

import pytest

from feeds.wire import Update, encode
from tests.support.gateway.fakes import FakePriceLayer, FakeTransport
from tests.support.gateway.hub import received_updates
from tests.support.times import at
from tests.support.waiting import until
from watchlist.gateway.clock import Clock
from watchlist.gateway.fanout import intake
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.intake import Intake
from watchlist.gateway.fanout.outbox import Outbox


class FakeStore:
    """The quotes in Redis; each reading is noted."""

    def __init__(self):
        self.values = {}
        self.readings = []

    async def mget(self, keys):
        self.readings.append(sorted(keys))
        return [self.values.get(key) for key in keys]


class Site:
    """An intake with its hub, layer and store."""

    def __init__(self):
        self.layer, self.store, self.intake = FakePriceLayer(), FakeStore(), Intake()
        loop = asyncio.get_running_loop()
        self.hub = Hub(loop.call_later, self.intake.add_symbol, self.intake.remove_symbol, Clock().unix_micros)

    def start(self):
        self.intake.start(self.hub, self.layer, self.store)

    def open_socket(self, *symbols):
        outbox = Outbox(FakeTransport(), clock=lambda: 0.0)
        self.hub.subscribe(outbox, symbols)
        return outbox


def make_update(symbol, seq_id):
    return encode(Update(symbol, 1.0, at(seq_id), seq_id))


@pytest.fixture
async def site():
    site = Site()
    yield site
    await site.intake.stop()


async def test_a_subscription_joins_the_group_then_reads_the_quote_then_follows_publications(site):
    site.store.values["stock:AAPL"] = make_update("AAPL", 1)
    site.start()
    socket = site.open_socket("AAPL")
    await until(lambda: received_updates(socket) == [("AAPL", 1)])
    assert site.layer.publish("prices.AAPL", make_update("AAPL", 2)) == 1
    await until(lambda: received_updates(socket) == [("AAPL", 1), ("AAPL", 2)])
    assert site.intake.connected


async def test_symbols_that_were_added_before_the_start_are_read_after_it(site):
    site.store.values["stock:AAPL"] = make_update("AAPL", 1)
    socket = site.open_socket("AAPL")
    site.start()
    await until(lambda: received_updates(socket) == [("AAPL", 1)])


async def test_a_malformed_publication_is_counted_and_stops_nothing(site):
    site.start()
    socket = site.open_socket("AAPL")
    await until(lambda: site.layer.publish("prices.AAPL", b"not an update"))
    site.layer.publish("prices.AAPL", make_update("AAPL", 1))
    await until(lambda: received_updates(socket) == [("AAPL", 1)])
    assert site.hub.counts.malformed == 1


async def test_the_group_is_left_after_the_last_subscription(site):
    site.start()
    socket = site.open_socket("AAPL", "GOOG")
    await until(lambda: site.layer.groups == {"prices.AAPL", "prices.GOOG"})
    site.hub.unsubscribe(socket, ["AAPL"])
    await until(lambda: site.layer.groups == {"prices.GOOG"})


async def test_the_quote_is_read_if_a_subscription_follows_the_end_of_the_last_one_at_once(site, monkeypatch):
    monkeypatch.setattr(intake, "RESYNC_SECONDS", 1000)
    site.store.values["stock:AAPL"] = make_update("AAPL", 1)
    site.start()
    for _ in range(3):
        socket = site.open_socket("AAPL")
        await until(lambda socket=socket: received_updates(socket) == [("AAPL", 1)])
        site.hub.remove(socket)


async def test_the_quote_is_read_if_a_subscription_begins_while_the_group_is_being_left(site, monkeypatch):
    monkeypatch.setattr(intake, "RESYNC_SECONDS", 1000)
    leaving, left = asyncio.Event(), asyncio.Event()
    leave = site.layer.group_discard

    async def leave_slowly(group, channel):
        leaving.set()
        await left.wait()
        await leave(group, channel)

    monkeypatch.setattr(site.layer, "group_discard", leave_slowly)
    site.start()
    first = site.open_socket("AAPL")
    await until(lambda: site.layer.groups == {"prices.AAPL"})
    site.hub.remove(first)
    await leaving.wait()
    second = site.open_socket("AAPL")
    site.store.values["stock:AAPL"] = make_update("AAPL", 1)
    left.set()
    await until(lambda: received_updates(second) == [("AAPL", 1)])
    assert site.layer.groups == {"prices.AAPL"}


async def test_all_quotes_are_read_again_after_a_reconnect(site):
    site.start()
    socket = site.open_socket("AAPL", "GOOG")
    await until(lambda: site.store.readings)
    site.layer.disconnect()
    assert (site.intake.connected, site.intake.losses) == (False, 1)
    site.store.values["stock:AAPL"] = make_update("AAPL", 7)
    site.layer.reconnect()
    await until(lambda: received_updates(socket) == [("AAPL", 7)])
    assert site.store.readings[-1] == ["stock:AAPL", "stock:GOOG"]
    assert (site.intake.connected, site.intake.resyncs) == (True, 1)


async def test_an_outage_at_the_start_is_retried_until_the_group_is_joined(site):
    site.layer.error = ConnectionError("Redis is unavailable")
    site.start()
    site.open_socket("AAPL")
    await until(lambda: site.layer.failures == 2)
    assert not site.intake.connected
    site.layer.error = None
    await until(lambda: site.layer.groups == {"prices.AAPL"})
    await until(lambda: site.intake.connected)


async def test_a_quote_arrives_by_a_resync_while_joining_hangs(site):
    async def never_confirm(_group, _channel):
        await asyncio.Event().wait()

    site.layer.group_add = never_confirm
    site.store.values["stock:AAPL"] = make_update("AAPL", 1)
    site.start()
    socket = site.open_socket("AAPL")
    site.intake.resync()
    await until(lambda: received_updates(socket) == [("AAPL", 1)])


async def test_one_group_that_cannot_be_joined_does_not_delay_the_others(site):
    join = site.layer.group_add

    async def refuse_one(group, channel):
        if group == "prices.AAPL":
            raise ConnectionError("refused")
        await join(group, channel)

    site.layer.group_add = refuse_one
    site.store.values["stock:GOOG"] = make_update("GOOG", 1)
    site.start()
    socket = site.open_socket("AAPL", "GOOG")
    await until(lambda: received_updates(socket) == [("GOOG", 1)])
    assert site.intake.interrupted


class SendingLayer(FakePriceLayer):
    """Sends a command as the Redis client does: with `wait_for`, which ignores a cancellation beside a result."""

    async def group_discard(self, group, channel):
        async def send():
            pass

        await super().group_discard(group, channel)
        await asyncio.wait_for(send(), 60)


@pytest.mark.parametrize("turns", range(4))
async def test_a_stop_while_a_command_is_being_sent_ends(site, turns):
    site.layer = SendingLayer()
    site.start()
    site.intake.add_symbol("AAPL")
    await until(lambda: site.layer.groups)
    site.intake.remove_symbol("AAPL")
    for _ in range(turns):
        await asyncio.sleep(0)
    stopping = asyncio.ensure_future(site.intake.stop())
    _, running = await asyncio.wait([stopping], timeout=60)
    assert not running
