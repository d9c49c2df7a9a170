"""Builds the gateway of this process from the settings.

The ASGI application and `rungateway` import this module after Django is set up.
"""

import resource
from functools import partial
from typing import Any

from channels.layers import channel_layers
from channels.routing import ProtocolTypeRouter
from django.conf import settings
from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, REGISTRY
from redis.asyncio import Redis

from feeds.store.connection import GATEWAY, connect_async
from stockwatch import health
from stockwatch.access_log.http_requests import HEALTH_PATHS, AccessLog
from stockwatch.logging import has_room
from stockwatch.serving import database_pool, database_timeout, request_metrics
from stockwatch.serving.connection_limit import ConnectionLimit
from stockwatch.serving.shared_counts import AllProcessesCollector, LabelledCollector, SharedCounts
from watchlist.gateway.catalog import Catalog, load_tickers
from watchlist.gateway.counts import RelayCounts
from watchlist.gateway.fanout.price_layer import PriceLayer
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.limits import Limits
from watchlist.gateway.metrics import ACCEPT_SECONDS, END_TO_END, WRITE_SECONDS, GatewayCollector
from watchlist.gateway.relay.layer import RelayLayer
from watchlist.gateway.sockets.access_lines import access_lines
from watchlist.gateway.sockets.asgi import Application, Receive, Scope, Send
from watchlist.gateway.sockets.daphne_transport import AttachTransport
from watchlist.gateway.sockets.routing import route_requests, route_sockets
from watchlist.gateway.streams.application import StreamApplication

RESERVED_FILES = 100
"""How many file descriptors of a process are kept for HTTP, Redis and the database.

If the process may open fewer than 500 files, a fifth of its file descriptors is kept.
"""


def read_max_per_process() -> int:
    """Returns how many clients the limit of open files (`ulimit -n`) allows this process to serve. 0 means no limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if limit == resource.RLIM_INFINITY else limit - min(RESERVED_FILES, limit // 5)


def read_limits() -> Limits:
    """Returns the limits of the gateway from the settings."""
    return Limits(
        allowed_origins=tuple(settings.GATEWAY_ALLOWED_ORIGINS),
        trusted_proxies=tuple(settings.GATEWAY_TRUSTED_PROXIES),
        max_connections=settings.GATEWAY_MAX_CONNECTIONS,
        max_per_address=settings.GATEWAY_MAX_PER_ADDRESS,
        max_symbols=settings.GATEWAY_MAX_SYMBOLS,
        messages_per_second=settings.GATEWAY_MESSAGES_PER_SECOND,
        messages_burst=settings.GATEWAY_MESSAGES_BURST,
        send_buffer=settings.GATEWAY_TIMEOUTS_SEND_BUFFER_SIZE,
        rate_per_second=settings.GATEWAY_RATE_PER_SECOND,
        rate_burst=settings.GATEWAY_RATE_BURST,
        write_wait=settings.GATEWAY_TIMEOUTS_WRITE_WAIT.total_seconds(),
        pong_wait=settings.GATEWAY_TIMEOUTS_PONG_WAIT.total_seconds(),
        ping_period=settings.GATEWAY_TIMEOUTS_PING_PERIOD.total_seconds(),
        max_age=settings.GATEWAY_MAX_AGE.total_seconds(),
        max_per_process=read_max_per_process(),
    )


def open_redis() -> Redis:
    """Returns the Redis client with which the gateway reads quotes and limits the rate of new connections."""
    return connect_async(settings.REDIS, GATEWAY)


relay_counts = RelayCounts()
relay_path = ""
"""The path of the relay's Unix socket. If the path is empty, this process subscribes to Redis itself."""


def use_relay(path: str) -> None:
    """Makes the gateway get prices through the relay at `path`. Call this function before the gateway starts.

    If `path` is empty, the gateway subscribes to Redis itself.
    """
    global relay_path
    relay_path = path


def open_layer() -> PriceLayer:
    """Returns the channel layer that brings prices to the gateway."""
    own: PriceLayer = channel_layers["prices"]
    return RelayLayer(relay_path, own, relay_counts) if relay_path else own


gateway = Gateway(
    limits=read_limits(),
    catalog=Catalog(settings.GATEWAY_VALID_TICKERS),
    load=load_tickers,
    layer=open_layer,
    redis=open_redis,
    private=settings.PRIVATE,
    deflate=settings.GATEWAY_DEFLATE,
)
http_connections = ConnectionLimit(settings.GATEWAY_MAX_HTTP_PER_ADDRESS, settings.GATEWAY_TRUSTED_PROXIES)
collector = GatewayCollector(
    gateway.connections,
    gateway.hub,
    gateway.intake,
    gateway.counts,
    gateway.database,
    gateway.compressor,
    relay_counts,
    gateway.count_tasks,
)
REGISTRY.register(collector)
database_pool.install(settings.DATABASE_POOL_SIZE)
database_timeout.install()
request_metrics.install()
health.more_checks["prices"] = lambda: not gateway.intake.interrupted


def share_counts(shared_counts: SharedCounts) -> None:
    """Makes connection limits and metrics cover all processes of the gateway."""
    totals = [collector, END_TO_END, ACCEPT_SECONDS, WRITE_SECONDS, *request_metrics.METRICS]
    of_process = [PROCESS_COLLECTOR, GC_COLLECTOR]
    labelled = [LabelledCollector(each, "process", str(shared_counts.slot)) for each in of_process]
    all_processes = AllProcessesCollector([*totals, *labelled], shared_counts)
    for each in [*totals, *of_process]:
        REGISTRY.unregister(each)
    REGISTRY.register(all_processes)
    gateway.share(
        shared_counts.set_connections,
        partial(shared_counts.note_address, "sockets"),
        lambda: shared_counts.store_metrics(all_processes.collect_own()),
    )
    http_connections.counts.share(partial(shared_counts.note_address, "http"))


def accept_any_host(application: Application, allowed_hosts: list[str]) -> Application:
    """Returns an application that answers `/livez`, `/readyz` and `/metrics` for any host name.

    `allowed_hosts` is the setting ALLOWED_HOSTS. Requests to other paths are passed to `application` unchanged.
    """
    allowed = next((host.lstrip(".") for host in allowed_hosts if host != "*"), "localhost").encode()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in HEALTH_PATHS:  # probes use the address of a container as the host name
            headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope = {**scope, "headers": [*headers, (b"host", allowed)]}
        await application(scope, receive, send)

    return answer


def wants_access_line(logger: str, event: str) -> bool:
    """Returns whether to write an access line of `logger` with the text `event`.

    Returns False if LOGGER_ACCESS is false, or if too many such lines were written in this second.
    """
    return settings.LOGGER_ACCESS and has_room(logger, event)


access_lines.wants_line = wants_access_line


def build_application(django_application: Any) -> Application:
    """Returns the ASGI application: WebSockets and streams go to the gateway, other requests to Django."""
    pages = accept_any_host(django_application, settings.ALLOWED_HOSTS)
    requests = AccessLog(route_requests(gateway.admission, pages), settings.GATEWAY_TRUSTED_PROXIES, wants_access_line)
    return AttachTransport(
        ProtocolTypeRouter(
            {
                "http": StreamApplication(gateway.admission, gateway.connections, requests),
                "websocket": route_sockets(gateway.admission, gateway.connections),
            }
        )
    )
