import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from stockwatch.doctor.clocks import check_clocks, compare
from stockwatch.doctor.disk import check_disks
from stockwatch.local.redis_server import RedisServer
from tests.support.servers.doctor import diagnose, expect_fault

NOWHERE = {"host": "127.0.0.1", "port": 1, "password": None, "db": 0}


class PastServer(BaseHTTPRequestHandler):
    """Answers as a server whose clock is an hour behind."""

    BEHIND_SECONDS: ClassVar[int] = 3600

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() - self.BEHIND_SECONDS)

    def log_message(self, *_arguments: object) -> None:
        """Writes no line."""


@pytest.fixture
def past_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), PastServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/0/public"
        server.shutdown()


def test_a_clock_of_this_machine_that_is_set_back_an_hour_is_named(redis_server: RedisServer):
    address = {"host": redis_server.host, "port": redis_server.port, "password": None, "db": 0}
    diagnosis = diagnose(partial(check_clocks, address, False, {}, lambda: time.time() - 3600))
    # The measurement is less precise on a busy machine.
    expect_fault(diagnosis, "clock: Redis is 3", "ahead of this machine", "chrony")
    diagnosis = diagnose(partial(check_clocks, address, False, {}))
    assert len(diagnosis.lines("ok")) == 1


def test_a_source_whose_clock_is_behind_is_named(past_server: str):
    diagnosis = diagnose(partial(check_clocks, NOWHERE, False, {"kraken": past_server}))
    expect_fault(diagnosis, "clock: kraken is 3", "behind this machine")
    expect_fault(diagnosis, "the clock of Redis cannot be read (ConnectionError)", level="warn")


@pytest.mark.parametrize(("difference", "level"), [(0.5, "ok"), (-3.0, "warn"), (5.4, "warn"), (-6.0, "FAIL")])
def test_a_difference_of_clocks_counts_beyond_the_precision_of_the_measurement(difference: float, level: str):
    assert compare("Redis", difference, precision=0.5).level == level


def test_a_full_disk_is_named(tmp_path: Path):
    more_than_any_disk = 2**70
    expect_fault(diagnose(partial(check_disks, [tmp_path], more_than_any_disk)), str(tmp_path), "delete files")
    diagnosis = diagnose(partial(check_disks, [tmp_path], 0, more_than_any_disk))
    expect_fault(diagnosis, "before it is full", level="warn")
    assert diagnose(partial(check_disks, [tmp_path], 0, 0)).lines("fail") == []


def test_a_folder_that_does_not_exist_is_named():
    expect_fault(diagnose(partial(check_disks, [Path("/absent/folder")])), "/absent/folder cannot be used")
