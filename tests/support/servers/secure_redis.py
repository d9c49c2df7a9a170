"""A Redis server of the system with TLS, client certificates and an ACL user, and a master with Sentinel."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from stockwatch.local.redis_server import RedisServer, StartedInBlock, end_process, find_redis_binary, free_port
from tests.support.servers.certificates import Certificates
from tests.support.waiting import wait_until

USER, PASSWORD = "stockwatch", "p@ss:w/rd#?"
RIGHTS = "~* &* +@all -@admin -@dangerous"


class SecureRedis(StartedInBlock):
    """Accepts connections over TLS and over a Unix socket only. The default user is off.

    `address` has the shape that `stockwatch.redis_address.read_redis_address` returns.
    """

    def __init__(self, certificates: Certificates, folder: Path) -> None:
        self.port = free_port()
        self.certificates = certificates
        self.socket = folder / "redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"rediss://{USER}:p%40ss%3Aw%2Frd%23%3F@localhost:{self.port}/0"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a program that uses this server."""
        return {
            "REDIS_URL": self.url,
            "REDIS_CA_FILE": str(self.certificates.authority),
            "REDIS_CERT_FILE": str(self.certificates.certificate),
            "REDIS_KEY_FILE": str(self.certificates.key),
        }

    def start(self) -> None:
        program = self._find_program()
        files, log = self.certificates, (self._folder / "redis.log").open("wb")
        (self._folder / "users.acl").write_text(f"user default off\nuser {USER} on >{PASSWORD} {RIGHTS}\n")
        options = {
            "port": "0",
            "tls-port": str(self.port),
            "tls-ca-cert-file": str(files.authority),
            "tls-cert-file": str(files.certificate),
            "tls-key-file": str(files.key),
            "tls-auth-clients": "yes",
            "unixsocket": str(self.socket),
            "aclfile": str(self._folder / "users.acl"),
            "bind": "127.0.0.1",
            "save": "",
            "dir": str(self._folder),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        # The server of the Python package has no TLS.
        self._process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, start_new_session=True)
        log.close()
        wait_until(self._is_ready, 60, "Redis with TLS")

    def _find_program(self) -> Path:
        """Returns the path of a Redis with TLS. Debian's checking tool is the server under another name."""
        found = shutil.which("redis-check-rdb")
        if found is None:
            pytest.skip("the program redis-check-rdb is not installed")
        program = self._folder / "redis-server"
        program.symlink_to(found)
        return program

    def _is_ready(self) -> bool:
        with redis.Redis(unix_socket_path=str(self.socket), username=USER, password=PASSWORD) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def close(self) -> None:
        if self._process is not None:
            end_process(self._process)


class SentinelSetup(StartedInBlock):
    """A master, a replica, and three sentinels that watch them."""

    service = "prices"

    def __init__(self) -> None:
        self.servers = [RedisServer(), RedisServer()]
        self.ports = [free_port() for _ in range(3)]
        self._folder = tempfile.TemporaryDirectory(prefix="stockwatch-sentinel-")
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> dict[str, Any]:
        sentinels = tuple(("127.0.0.1", port) for port in self.ports)
        return {
            "host": "ignored",
            "port": 1,
            "password": None,
            "db": 0,
            "sentinels": sentinels,
            "service": self.service,
        }

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a program that uses this master."""
        sentinels = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return {"REDIS_SENTINELS": sentinels, "REDIS_SENTINEL_SERVICE": self.service}

    def start(self) -> None:
        for server in self.servers:
            server.start()
        master, replica = self.servers
        with redis.Redis(host=replica.host, port=replica.port) as client:
            client.replicaof(master.host, str(master.port))
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", 60, "the replica")
        for port in self.ports:
            self._start_sentinel(port)
        for port in self.ports:
            wait_until(lambda port=port: self._knows_all(port), 60, "the sentinels")

    def _start_sentinel(self, port: int) -> None:
        master, file = self.servers[0], Path(self._folder.name, f"{port}.conf")
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder.name}\n"
            f"sentinel monitor {self.service} {master.host} {master.port} 2\n"
            f"sentinel down-after-milliseconds {self.service} 1000\n"
            f"sentinel failover-timeout {self.service} 5000\n"
        )
        command = [find_redis_binary(), str(file), "--sentinel"]
        self._processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True))

    def _knows_all(self, port: int) -> bool:
        with redis.Redis(port=port) as client:
            try:
                state = client.sentinel_master(self.service)
            except redis.RedisError:
                return False
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == len(self.ports) - 1)

    def kill_master(self) -> float:
        """Kills the master with SIGKILL, and waits until the sentinels name the replica. Returns the seconds."""
        started = time.monotonic()
        self.servers[0].kill()
        new = self.servers[1].port
        for port in self.ports:
            wait_until(lambda port=port: self._master_port(port) == new, 120, "the failover")
        return time.monotonic() - started

    def _master_port(self, port: int) -> int:
        with redis.Redis(port=port) as client:
            return int(client.sentinel_get_master_addr_by_name(self.service)[1])

    def close(self) -> None:
        for process in self._processes:
            end_process(process)
        for server in self.servers:
            server.close()
        self._folder.cleanup()
