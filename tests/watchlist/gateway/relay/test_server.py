"""What the relay sends to the connections of gateway processes."""

import pytest

from tests.support.gateway.relay import LocalRelay, RawProcess
from tests.support.waiting import until
from watchlist.gateway.relay.framing import (
    PREAMBLE,
    Kind,
    decode_names,
    decode_updates,
    encode_frame,
    encode_names,
)


@pytest.fixture
async def process(local_relay):
    process = await RawProcess().open(local_relay.path)
    yield process
    process.close()


async def join(process, *names):
    process.writer.write(encode_names(Kind.JOIN, names))
    assert decode_names(await process.receive(Kind.JOINED)) == list(names)


async def test_the_relay_sends_its_preamble_first_and_then_beats(local_relay, process):
    assert await process.stream.readexactly(len(PREAMBLE)) == PREAMBLE
    beat = encode_frame(Kind.BEAT)
    assert [await process.stream.readexactly(len(beat)) for _ in range(2)] == [beat, beat]


async def test_a_process_gets_the_messages_of_the_groups_that_it_has_joined(local_relay, process, redis_client):
    await join(process, "prices.AAPL", "prices.BTC/USD")
    assert redis_client.publish("prices.AAPL", b"1") == 1
    assert redis_client.publish("prices.GOOG", b"2") == 0
    assert decode_updates(await process.receive(Kind.UPDATES)) == [(b"prices.AAPL", b"1")]


async def test_processes_share_a_subscription_and_each_gets_its_own_groups(local_relay, process, redis_client):
    other = await RawProcess().open(local_relay.path)
    await join(process, "prices.AAPL")
    await join(other, "prices.AAPL", "prices.GOOG")
    assert redis_client.publish("prices.GOOG", b"1") == 1
    assert redis_client.publish("prices.AAPL", b"2") == 1
    assert decode_updates(await process.receive(Kind.UPDATES)) == [(b"prices.AAPL", b"2")]
    other.close()
    await until(lambda: redis_client.pubsub_numsub("prices.GOOG")[0][1] == 0)
    assert redis_client.pubsub_numsub("prices.AAPL")[0][1] == 1


async def test_a_group_that_all_processes_have_left_is_unsubscribed(local_relay, process, redis_client):
    await join(process, "prices.AAPL", "prices.GOOG")
    process.writer.write(encode_names(Kind.LEAVE, ["prices.AAPL", "prices.unknown"]))
    await until(lambda: redis_client.pubsub_numsub("prices.AAPL")[0][1] == 0)
    await join(process, "prices.AAPL")
    assert redis_client.publish("prices.AAPL", b"1") == 1


async def test_a_process_hears_that_redis_is_lost_and_back(local_relay, process, redis_client):
    await join(process, "prices.AAPL")
    redis_client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await process.receive(Kind.LOST)
    await process.receive(Kind.BACK)
    await until(lambda: redis_client.publish("prices.AAPL", b"1") == 1)


@pytest.mark.parametrize(
    ("preamble", "frames"),
    [
        (b"stockwatch relay 0\n", b""),
        (PREAMBLE, b"\xff\xff\xff\xff\x01"),
        (PREAMBLE, b"\0\0\0\0\0"),
        (PREAMBLE, encode_frame(Kind.JOIN, b"[1]")),
        (PREAMBLE, encode_names(Kind.JOINED, ["prices.AAPL"])),
        (PREAMBLE, encode_frame(Kind.BEAT)),
    ],
)
async def test_a_process_that_breaks_the_protocol_is_dropped_and_others_are_served(
    local_relay, process, redis_client, preamble, frames
):
    await join(process, "prices.AAPL")
    bad = await RawProcess().open(local_relay.path, preamble)
    bad.writer.write(frames)
    await bad.read_to_end()
    redis_client.publish("prices.AAPL", b"1")
    assert decode_updates(await process.receive(Kind.UPDATES)) == [(b"prices.AAPL", b"1")]
    bad.close()


async def test_a_process_that_reads_nothing_is_dropped_and_others_are_served(redis_server, redis_client):
    relay = await LocalRelay(redis_server, max_unread_bytes=100_000).start()
    idle, active = [await RawProcess().open(relay.path) for _ in range(2)]
    await join(idle, "prices.AAPL", "prices.GOOG")
    await join(active, "prices.GOOG")
    for _ in range(40):
        redis_client.publish("prices.AAPL", bytes(60_000))
    await until(lambda: redis_client.pubsub_numsub("prices.AAPL")[0][1] == 0)
    redis_client.publish("prices.GOOG", b"1")
    assert decode_updates(await active.receive(Kind.UPDATES)) == [(b"prices.GOOG", b"1")]
    idle.close()
    active.close()
    await relay.close()
    relay.remove()
