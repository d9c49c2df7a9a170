"""Clients that flood, send random frames or stay silent."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.bench.fuzz import play
from tests.support.gateway.hostile import PING_REQUEST, only_fixtures_are_connected
from tests.support.gateway.raw_socket import DROPPED, PING, PONG, TEXT, make_frame, upgrade
from tests.support.waiting import wait_until

FLOODS = {
    "pings": (b"", make_frame(PING, b"x" * 125) * 100),
    "pongs": (b"", make_frame(PONG) * 1000),
    "empty fragments": (make_frame(TEXT, final=False), make_frame(0, final=False) * 1000),
    "endless fragments": (make_frame(TEXT, b"{", final=False), make_frame(0, b" ", final=False) * 1000),
    "messages": (b"", make_frame(TEXT, b'{"action":"ping"}') * 1000),
    "unsubscribes": (b"", make_frame(TEXT, b'{"action":"unsubscribe","payload":{"symbols":["GOOG"]}}') * 1000),
}


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "never reads"])
@pytest.mark.parametrize("name", FLOODS)
def test_a_client_that_floods_is_closed(gateway, name, reads):
    before = closed_for_fault(gateway)
    opening, data = FLOODS[name]
    with upgrade(gateway, receive_buffer=0 if reads else 4096) as client, ThreadPoolExecutor() as pool:
        client.send(PING_REQUEST)
        client.read_text()
        code = pool.submit(client.read_close) if reads else None
        client.send(opening)
        with pytest.raises((ConnectionError, TimeoutError)):
            client.send_until_closed(data)
        assert code is None or code.result() in {4008, 4013, DROPPED}
    wait_until(lambda: closed_for_fault(gateway) == before + 1)
    wait_until(lambda: only_fixtures_are_connected(gateway))


def closed_for_fault(gateway):
    return sum(gateway.metric(f'closed_total{{reason="{reason}"}}') for reason in ("flood", "slow"))


def test_a_client_that_never_reads_its_replies_is_dropped(gateway):
    with upgrade(gateway, receive_buffer=4096) as client:
        client.send(make_frame(TEXT, b'{"action":"ping","id":"' + b"x" * 60_000 + b'"}') * 20)
        wait_until(lambda: gateway.metric('closed_total{reason="slow"}') > 0)
        wait_until(lambda: only_fixtures_are_connected(gateway))
        with pytest.raises(ConnectionError):
            client.send_until_closed(PING_REQUEST)


def test_twenty_thousand_random_frames_cause_no_error(gateway):
    codes = play(gateway, frames=20_000, seed=1)
    assert codes[1011] == 0
    assert codes.total() > 500
    wait_until(lambda: only_fixtures_are_connected(gateway))


def test_a_client_that_sends_nothing_is_closed(silent, gateway):
    wait_until(lambda: gateway.metric('closed_total{reason="silent"}') == 1)
    assert silent.read_close() == 4009
