"""Runs a whole site on this machine for a browser.

The site has a Redis, a migrated database file and the real server. Tests publish prices one by one to Redis, as the
processor does.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import redis

from feeds import wire
from stockwatch.local.redis_server import RedisServer, StartedInBlock, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
TICKERS = Path(__file__).with_name("tickers.json")
DELETE_LISTS = "from watchlist.models import Watchlist; Watchlist.objects.all().delete()"
STAFF, PASSWORD = "operator", "a long and private phrase"


class Site(StartedInBlock):
    """A site. Its port, prices and accounts stay the same after `kill_server` and `start_server`.

    The default of `stale_after` is long, because a slow machine may load the page slowly.
    """

    def __init__(self, stale_after: str = "30s") -> None:
        self._stale_after = stale_after
        self._folder = tempfile.TemporaryDirectory(prefix="stockwatch-site-")
        self._redis = RedisServer()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._server: subprocess.Popen[bytes] | None = None
        self._seq_id = 0

    def start(self) -> None:
        self._redis.start()
        self.redis = redis.Redis(host=self._redis.host, port=self._redis.port, protocol=2)
        self.manage("migrate", "--verbosity", "0")
        self.manage("loaddata", "--verbosity", "0", str(TICKERS))
        self.manage(
            "createsuperuser", "--noinput", "--username", STAFF, "--email", "", DJANGO_SUPERUSER_PASSWORD=PASSWORD
        )
        self.start_server()

    @property
    def redis_port(self) -> int:
        return self._redis.port

    def manage(self, *arguments: str, **environment: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self._environment() | environment, check=True
        )

    def start_server(self, **environment: str) -> None:
        """Starts the server and waits until the server answers. `environment` holds more environment variables.

        If the server ends before the first answer, raises RuntimeError with the server's log.
        """
        with self._log.open("ab") as output:
            self._server = subprocess.Popen(
                [sys.executable, "manage.py", "rungateway", "--processes", "1"],
                cwd=ROOT,
                env=self._environment() | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        for _ in range(1200):
            try:
                urllib.request.urlopen(self.address + "/livez", timeout=2).close()
                return
            except OSError:  # the server refused the connection, or is slow
                try:
                    self._server.wait(0.05)
                    break
                except subprocess.TimeoutExpired:
                    continue
        raise RuntimeError(f"the server did not start:\n{self._log.read_text(errors='replace')[-4000:]}")

    def kill_server(self) -> None:
        """Kills the server with SIGKILL."""
        if self._server:
            self._server.kill()
            self._server.wait()

    def stop_redis(self) -> None:
        self._redis.stop()

    def start_redis(self) -> None:
        self._redis.start()

    def publish(self, symbol: str, price: float, age: float = 0.0, **more: Any) -> None:
        """Publishes an update as the processor does, with a timestamp from `age` seconds ago.

        `more` holds additional keys of the update.
        """
        self._seq_id += 1
        timestamp = int((time.time() - age) * 1_000_000)
        value = wire.encode(wire.Update(symbol, price, timestamp, self._seq_id))
        value = msgspec.json.encode(msgspec.json.decode(value) | more) if more else value
        self.redis.set(wire.stock_key(symbol), value)
        self.redis.publish(wire.channel_name(symbol), value)

    def metric(self, name: str) -> float:
        """Returns the value of a metric of the server. `name` is the name without the prefix `stockwatch_`."""
        with urllib.request.urlopen(self.address + "/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"stockwatch_{name} "))

    def wait_until_unsubscribed(self, symbol: str) -> None:
        """Waits until the gateway is no longer subscribed to the channel of a symbol."""
        channel = wire.channel_name(symbol)
        wait_until(lambda: not dict(self.redis.pubsub_numsub(channel)).popitem()[1], what=f"the end of {channel}")

    def delete_lists(self) -> None:
        """Deletes all lists. Afterwards every account has the example list again."""
        self.manage("shell", "--verbosity", "0", "-c", DELETE_LISTS)

    def clear_redis(self) -> None:
        self.redis.flushall()

    def close(self) -> None:
        self.kill_server()
        if hasattr(self, "redis"):
            self.redis.close()
        self._redis.close()
        self._folder.cleanup()

    @property
    def _log(self) -> Path:
        return Path(self._folder.name, "server.log")

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "APP_ENV": "test",
            "APP_PORT": f"127.0.0.1:{self.port}",
            "DATABASE_URL": f"sqlite:///{self._folder.name}/site.sqlite3",
            "REDIS_ADDR": self._redis.address,
            "STALE_AFTER": self._stale_after,
            "GATEWAY_RATE_PER_SECOND": "1000",
            "GATEWAY_RATE_BURST": "1000",
            "REGISTRATION_PER_HOUR": "1000",
        }
