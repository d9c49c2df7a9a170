"""Connections to the Redis server that accepts writes: the master.

The server is reached over TCP, over TCP with TLS, or over a Unix socket. Sentinel may name the server. Each kind of
connection has two classes: one for threads and one for asyncio.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

Nodes = Sequence[tuple[str, int]]


class NotMaster(redis.ConnectionError):
    """The server is a replica now, or it cannot reach its master.

    After this error, redis-py repeats the command on a new connection, which may reach the master.
    """


NOT_MASTER = (redis.exceptions.ReadOnlyError, redis.exceptions.MasterDownError)
"""The errors that a connection turns into NotMaster."""


class _Master:
    """Makes a connection close itself and raise NotMaster when its server is not the master."""

    def read_response(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)  # type: ignore[misc]
        except NOT_MASTER as error:
            self.disconnect()
            raise NotMaster(f"the server is not the master: {error}") from error


class _AsyncMaster:
    """Like _Master, for asyncio."""

    async def read_response(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)  # type: ignore[misc]
        except NOT_MASTER as error:
            await self.disconnect(nowait=True)
            raise NotMaster(f"the server is not the master: {error}") from error


class MasterConnection(_Master, redis.Connection):
    """A connection over TCP."""


class MasterTlsConnection(_Master, redis.SSLConnection):
    """A connection over TCP with TLS."""


class MasterUnixConnection(_Master, redis.UnixDomainSocketConnection):
    """A connection over a Unix socket."""


class AsyncMasterConnection(_AsyncMaster, redis.asyncio.Connection):
    """A connection over TCP, for asyncio."""


class AsyncMasterTlsConnection(_AsyncMaster, redis.asyncio.SSLConnection):
    """A connection over TCP with TLS, for asyncio."""


class AsyncMasterUnixConnection(_AsyncMaster, redis.asyncio.UnixDomainSocketConnection):
    """A connection over a Unix socket, for asyncio."""


class _FromSentinel:
    """Makes a connection ask Sentinel for the address of the master before each attempt to connect.

    `sentinel_options` are the options of the connections to the sentinels.
    """

    def __init__(self, *, sentinels: Nodes, service: str, sentinel_options: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self._sentinels, self._service, self._sentinel_options = sentinels, service, sentinel_options

    def _connect(self: Any) -> Any:
        finder: Any = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            self._sentinels, sentinel_kwargs=self._sentinel_options
        )
        try:
            self.host, self.port = finder.discover_master(self._service)
        finally:
            for client in finder.sentinels:
                client.close()
        return super()._connect()  # type: ignore[misc]


class _AsyncFromSentinel(_FromSentinel):
    """Like _FromSentinel, for asyncio."""

    async def _connect(self: Any) -> Any:
        finder: Any = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            self._sentinels, sentinel_kwargs=self._sentinel_options
        )
        try:
            self.host, self.port = await finder.discover_master(self._service)
        finally:
            for client in finder.sentinels:
                await client.aclose()
        return await super(_FromSentinel, self)._connect()  # type: ignore[misc]


class SentinelMasterConnection(_FromSentinel, MasterConnection):
    """A connection over TCP to the master that Sentinel names."""


class SentinelMasterTlsConnection(_FromSentinel, MasterTlsConnection):
    """A connection over TCP with TLS to the master that Sentinel names."""


class AsyncSentinelMasterConnection(_AsyncFromSentinel, AsyncMasterConnection):
    """A connection over TCP to the master that Sentinel names, for asyncio."""


class AsyncSentinelMasterTlsConnection(_AsyncFromSentinel, AsyncMasterTlsConnection):
    """A connection over TCP with TLS to the master that Sentinel names, for asyncio."""


_CLASSES = {
    "unix": (MasterUnixConnection, AsyncMasterUnixConnection),
    "tcp": (MasterConnection, AsyncMasterConnection),
    "tls": (MasterTlsConnection, AsyncMasterTlsConnection),
    "sentinel tcp": (SentinelMasterConnection, AsyncSentinelMasterConnection),
    "sentinel tls": (SentinelMasterTlsConnection, AsyncSentinelMasterTlsConnection),
}


def connection_classes(address: Mapping[str, Any]) -> tuple[type[Any], type[Any]]:
    """Returns the classes of the connections to an address: for threads and for asyncio."""
    if "path" in address:
        return _CLASSES["unix"]
    way = "tls" if address.get("ssl") else "tcp"
    return _CLASSES[f"sentinel {way}" if "sentinels" in address else way]


def connection_options(address: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments with which redis-py makes a connection to `address`.

    `limits` are time-outs and TCP options. For a Unix socket, the TCP options are left out.
    """
    options = {name: value for name, value in address.items() if name not in {"ssl", "sentinel_password"}}
    if "path" in address:
        return options | {name: value for name, value in limits.items() if "keepalive" not in name}
    if "sentinels" in address:
        tls = {name: value for name, value in address.items() if name.startswith("ssl")}
        password = {"password": address.get("sentinel_password")}
        options["sentinel_options"] = {**limits, **tls, **password}
    return options | dict(limits)
