"""Defines the metrics of a gateway process for Prometheus."""

from collections.abc import Callable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchlist.gateway.counts import GatewayCounts, RelayCounts
from watchlist.gateway.database import DatabaseMonitor
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.fanout.intake import Intake
from watchlist.gateway.protocol import CloseCode
from watchlist.gateway.sockets.connections import Connections

END_TO_END = Histogram(
    "stockwatch_end_to_end_seconds",
    "From the timestamp of an update to its write to the sockets, observed once per flush",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
# Prometheus sees the first increase of a counter only if the series exists before.
REFUSALS = ("full", "address full", "address rate", "token rate", "no tickers", "database", "shutdown")
"""The reasons of refusals whose series exist from the start, with the value 0."""
CLOSES = tuple(code.name.lower() for code in CloseCode)

ACCEPT_SECONDS = Histogram(
    "stockwatch_accept_seconds",
    "From the request of a socket to the response that accepts it",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
WRITE_SECONDS = Histogram(
    "stockwatch_write_seconds",
    "Time in which the updates of one flush were written to all sockets",
    buckets=(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
)


class GatewayCollector(Collector):
    """Collects the metrics of a gateway when Prometheus requests them. Register one collector per process.

    `count_tasks` returns the number of tasks of the event loop.
    """

    def __init__(
        self,
        connections: Connections,
        hub: Hub,
        intake: Intake,
        counts: GatewayCounts,
        database: DatabaseMonitor,
        compressor: Compressor,
        relay: RelayCounts,
        count_tasks: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._hub = hub
        self._intake = intake
        self._counts = counts
        self._database = database
        self._compressor = compressor
        self._relay = relay
        self._count_tasks = count_tasks

    def collect(self) -> Iterator[Metric]:
        yield from self._collect_state()
        yield from self._collect_updates()
        yield from self._collect_compression()
        yield from self._collect_clients()

    def _collect_state(self) -> Iterator[Metric]:
        hub = self._hub
        sessions = self._connections.sessions
        yield gauge("connections", "Open sockets", len(sessions))
        streams = sum(session.outbox.delivery.events for session in sessions)
        yield gauge("streams", "Open sockets that are streams", streams)
        yield gauge(
            "accept_rate",
            "Connections per second that could be accepted beside all other work, as measured",
            self._connections.accept_rate.per_second,
        )
        yield gauge("subscriptions", "Subscriptions: pairs of a socket and a symbol", hub.subscriptions)
        yield gauge("symbols", "Symbols with at least one subscription", len(hub.symbols))
        yield gauge("tasks", "Tasks of the event loop", self._count_tasks())
        yield gauge("fast_path", "1 if frames are written straight to the transport", int(self._counts.direct_writes))
        yield gauge(
            "channel_layer_connected", "1 if the subscription to Redis is connected", int(self._intake.connected)
        )
        yield gauge(
            "redis_nodes_lost", "Nodes of a Redis Cluster whose connection is lost", len(self._intake.lost_nodes)
        )
        yield gauge("relay_connected", "Processes that get prices through the relay", int(self._relay.connected))
        yield gauge("database_answers", "1 if tickers, lists and accounts can be read", int(self._database.available))
        yield gauge(
            "newest_update_timestamp_seconds", "Unix time of the newest update received", hub.newest_timestamp / 1e6
        )

    def _collect_updates(self) -> Iterator[Metric]:
        counts, intake = self._hub.counts, self._intake
        yield counter("updates_in", "Updates received that were newer than the known one", counts.accepted)
        yield counter("updates_out", "Updates handed to sockets", counts.sent)
        yield counter(
            "updates_conflated", "Updates replaced by newer ones for sockets that do not read", counts.conflated
        )
        yield counter("updates_lost", "Updates dropped for sockets that do not read, in mode `all`", counts.lost)
        yield counter("sequence_gaps", "Updates whose seq_id skipped numbers", counts.gaps)
        yield counter("channel_layer_losses", "Times the channel layer lost its connection", intake.losses)
        yield counter(
            "relay_fallbacks", "Times a process subscribed to Redis itself instead of the relay", self._relay.fallbacks
        )
        yield counter("resyncs", "Times the quotes of all subscribed symbols were read again", intake.resyncs)
        dropped = {
            "stale": counts.stale,
            "malformed": counts.malformed,
            "timestamp": counts.timestamp,
            "unwanted": counts.unwanted,
        }
        yield by_reason("updates_dropped", "Updates that were not handed to sockets", dropped)

    def _collect_compression(self) -> Iterator[Metric]:
        compressor = self._compressor
        yield counter("connections_compressed", "Sockets accepted with compression", self._counts.compressed)
        yield counter("compression_input_bytes", "Bytes of messages before compression", compressor.input_bytes)
        yield counter("compression_output_bytes", "Bytes of these messages after it", compressor.output_bytes)
        yield gauge("compresses_small_cohorts", "1 if small cohorts are sent compressed frames", not compressor.busy)

    def _collect_clients(self) -> Iterator[Metric]:
        counts = self._counts
        yield counter("connections_accepted", "Sockets accepted", counts.accepted)
        yield counter("rotated", "Sockets closed because of their age", counts.rotated)
        yield counter(
            "rate_limit_unanswered",
            "Connections accepted without a rate check because Redis did not answer",
            counts.rate_limit_unanswered,
        )
        yield by_reason("refused", "Connections and requests refused", dict.fromkeys(REFUSALS, 0) | counts.refused)
        yield by_reason("closed", "Sockets closed by the gateway", dict.fromkeys(CLOSES, 0) | counts.closed)


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"stockwatch_{name}", text, value=value)


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"stockwatch_{name}", text, value=value)


def by_reason(name: str, text: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"stockwatch_{name}", text, labels=["reason"])
    for reason, value in values.items():
        family.add_metric([reason], value)
    return family
