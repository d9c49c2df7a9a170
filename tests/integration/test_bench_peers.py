"""The servers of `make bench-peers` deliver updates, and its tables name what was not measured."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from stockwatch.local.redis_server import RedisServer, free_port
from tests.bench.peers.__main__ import find_peers, make_notes, parse_arguments
from tests.bench.peers.cases import ACCEPT, FAN_OUT, IDLE, Case
from tests.bench.peers.measure import serve
from tests.bench.peers.peer import PEERS, Stand
from tests.bench.peers.servers.centrifugo import make_request
from tests.bench.peers.servers.redis_feed import RedisFeed
from tests.bench.peers.table import write_tables
from tests.support.gateway.process import FRAME_TIMEOUT_SECONDS, ROOT

CASE = Case("small", clients=1, symbols=2, hertz=10)
needs_taskset = pytest.mark.skipif(not shutil.which("taskset"), reason="the benchmark needs taskset")


@needs_taskset
@pytest.mark.parametrize("option", ["stockwatch", "websockets", "uvicorn", "daphne"])
def test_a_server_delivers_what_its_publisher_publishes(option: str, redis_server: RedisServer, tmp_path: Path):
    (peer,) = [peer for peer in PEERS if peer.option == option]
    program = peer.find(None)
    assert program
    stand = Stand(program, free_port(), redis_server.port, tmp_path, CASE)
    address = f"ws://127.0.0.1:{stand.port}{peer.path}"
    with serve(peer, stand), connect(address, open_timeout=FRAME_TIMEOUT_SECONDS, ping_interval=None) as client:
        client.send(peer.make_request(CASE))
        publisher = subprocess.Popen(peer.make_publisher(stand, 60), cwd=ROOT)
        try:
            symbols: set[str] = set()
            while symbols != {"S0", "S1"}:
                update = json.loads(client.recv(timeout=FRAME_TIMEOUT_SECONDS))
                assert update.keys() >= {"symbol", "price", "timestamp", "seq_id"}
                symbols.add(update["symbol"])
        finally:
            publisher.kill()
            publisher.wait()


def test_updates_are_read_from_redis_however_the_bytes_arrive():
    message = b"*4\r\n$8\r\npmessage\r\n$8\r\nprices.*\r\n$12\r\nprices.BRK.B\r\n$7\r\n{\r\n:1}}\r\n"
    data = b"*3\r\n$10\r\npsubscribe\r\n$8\r\nprices.*\r\n:1\r\n" + message * 3
    for size in (1, 7, len(data)):
        updates: list[tuple[str, bytes]] = []
        feed = RedisFeed(lambda symbol, text, updates=updates: updates.append((symbol, text)))  # type: ignore[misc]
        for start in range(0, len(data), size):
            feed.data_received(data[start : start + size])
        assert updates == [("BRK.B", b"{\r\n:1}}")] * 3


def test_a_client_of_centrifugo_connects_and_subscribes_in_one_message():
    commands = [json.loads(line) for line in make_request(2).splitlines()]
    assert commands[0] == {"id": 1, "connect": {}}
    assert [command["subscribe"]["channel"] for command in commands[1:]] == ["S0", "S1"]


def test_a_server_that_is_not_installed_is_named_below_the_tables(tmp_path: Path):
    arguments = parse_arguments(["--only", "picows,websockets", "--picows", str(tmp_path / "none")])
    found, missing = find_peers(arguments)
    assert [peer.option for peer in found] == ["websockets"]
    assert set(found.values()) == {sys.executable}
    assert "Not found, so not measured: picows (`--picows PATH`)." in make_notes(found, missing, 3)


def make_figures(**more: object) -> dict[str, object]:
    names = ("updates_s", "updates_per_cpu_s", "p50_ms", "p99_ms", "core", "refused", "closed")
    return dict.fromkeys(names, 0) | {"saturated": False, "bytes_per_update": None} | more


def test_the_tables_show_medians_and_shares_of_the_floor():
    turns = [
        make_figures(updates_s=40_000, updates_per_cpu_s=each, bytes_per_update=87.4) for each in (1, 300_000, 9e9)
    ]
    floor = [make_figures(updates_s=40_000, updates_per_cpu_s=600_000)]
    slow = [make_figures(updates_s=9, saturated=True)]
    accepts = [make_figures(accepts_s=2900.4, us_per_accept=251.2, closed=3)]
    text = write_tables(
        {
            FAN_OUT[0].name: {"stockwatch": turns, "slow": slow, "floor": floor},
            ACCEPT.name: {"stockwatch": accepts},
            IDLE.name: {"stockwatch": [make_figures(bytes_per_socket=6100.0)]},
        },
        ["a note"],
    )
    assert "| stockwatch | 1,000 x 4 x 10 | 40,000 | 300,000 | 50% | 0.0, 0.0 | 0% | 87 |" in text
    assert "| slow | 1,000 x 4 x 10 | 9, saturated | 0 | 0% |" in text
    assert "| floor | 1,000 x 4 x 10 | 40,000 | 600,000 |  |" in text
    assert "| stockwatch | 2,900 | 251 | 3 |" in text
    assert "| stockwatch | 6,100 |  |" in text
    assert text.endswith("- a note\n")
