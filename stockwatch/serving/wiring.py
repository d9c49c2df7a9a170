"""Where the gateway meets the settings: built once a process, used by the ASGI application and by `rungateway`.

Imported after Django is set up.
"""

from typing import Any

from channels.layers import channel_layers
from channels.routing import ProtocolTypeRouter
from django.conf import settings
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from stockwatch.serving.shared_counts import AllProcessesCollector, SharedCounts
from watchlist.gateway.catalog import Catalog, load_tickers
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.limits import Limits
from watchlist.gateway.metrics import END_TO_END, GatewayCollector
from watchlist.gateway.sockets.asgi import Application
from watchlist.gateway.sockets.daphne_transport import AttachTransport
from watchlist.gateway.sockets.routing import route_requests, route_sockets


def read_limits() -> Limits:
    """The settings of the gateway, as it takes them."""
    return Limits(
        allowed_origins=tuple(settings.GATEWAY_ALLOWED_ORIGINS),
        trusted_proxies=tuple(settings.GATEWAY_TRUSTED_PROXIES),
        max_connections=settings.GATEWAY_MAX_CONNECTIONS,
        max_symbols=settings.GATEWAY_MAX_SYMBOLS,
        send_buffer=settings.GATEWAY_TIMEOUTS_SEND_BUFFER_SIZE,
        rate_per_second=settings.GATEWAY_RATE_PER_SECOND,
        rate_burst=settings.GATEWAY_RATE_BURST,
        write_wait=settings.GATEWAY_TIMEOUTS_WRITE_WAIT.total_seconds(),
        pong_wait=settings.GATEWAY_TIMEOUTS_PONG_WAIT.total_seconds(),
        ping_period=settings.GATEWAY_TIMEOUTS_PING_PERIOD.total_seconds(),
    )


def open_redis() -> Redis:
    """A client for reading prices and for the buckets of addresses."""
    return Redis(
        **settings.REDIS,
        protocol=2,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 1),  # its callers wait and try again by themselves
    )


gateway = Gateway(
    limits=read_limits(),
    catalog=Catalog(settings.GATEWAY_VALID_TICKERS),
    load=load_tickers,
    layer=lambda: channel_layers["prices"],
    redis=open_redis,
)
collector = GatewayCollector(
    gateway.connections, gateway.hub, gateway.intake, gateway.counts, gateway.database, gateway.count_tasks
)
REGISTRY.register(collector)


def share(board: SharedCounts) -> None:
    """Has this process be one of several: limits on connections and metrics are those of all."""
    everyone = AllProcessesCollector([collector, END_TO_END], board)
    REGISTRY.unregister(collector)
    REGISTRY.unregister(END_TO_END)
    REGISTRY.register(everyone)
    gateway.share(board.note_connections, lambda: board.keep_metrics(everyone.collect_own()))


def compose(pages: Any) -> Application:
    """Pages over HTTP and the gateway at `/ws`, as one application."""
    return AttachTransport(
        ProtocolTypeRouter(
            {
                "http": route_requests(gateway.admission, pages),
                "websocket": route_sockets(gateway.admission, gateway.connections),
            }
        )
    )
