"""What a gateway process shows at `/metrics`. It reads plain numbers when asked; the way of an update pays nothing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from watchlist.gateway.gateway import Gateway


END_TO_END = Histogram(
    "stockwatch_end_to_end_seconds",
    "From an update's own timestamp to its write to the sockets, once a flush",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)


class GatewayCollector(Collector):
    """Register one a process."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        gateway, hub, intake = self._gateway, self._gateway.hub, self._gateway.intake
        yield gauge("connections", "Open sockets", len(gateway.sessions))
        yield gauge("subscriptions", "Pairs of a socket and a symbol", hub.subscriptions)
        yield gauge("symbols", "Symbols that somebody wants", len(hub.symbols))
        yield gauge("tasks", "Tasks of the event loop", gateway.tasks)
        yield gauge("fast_path", "1 while frames go straight to the transport", int(gateway.fast))
        yield gauge("channel_layer_connected", "1 while prices can arrive", int(bool(intake and intake.connected)))
        yield gauge("database_answers", "1 while tickers, lists and accounts can be read", int(gateway.service.lists))
        yield gauge("newest_update_timestamp_seconds", "Unix time in the newest update taken in", hub.newest / 1e6)
        yield counter("connections_accepted", "Sockets accepted", gateway.counts.accepted)
        yield counter("updates_in", "Updates taken in", hub.counts.taken)
        yield counter("updates_out", "Updates handed to sockets", hub.counts.sent)
        yield counter("sequence_gaps", "Updates whose seq_id skipped numbers", hub.counts.gaps)
        yield counter(
            "channel_layer_losses", "Times the channel layer lost its connection", intake.losses if intake else 0
        )
        yield counter("resyncs", "Times all wanted symbols were read again", intake.resyncs if intake else 0)
        yield counter(
            "rate_limit_unanswered", "Connections let in because Redis did not answer", gateway.counts.unanswered
        )
        yield by_reason(
            "updates_dropped",
            "Updates not handed on",
            {"stale": hub.counts.stale, "malformed": hub.counts.malformed, "unwanted": hub.counts.unwanted},
        )
        yield by_reason("refused", "Connections and requests refused", gateway.counts.refused)
        yield by_reason("closed", "Sockets closed by the gateway", gateway.counts.closes)


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"stockwatch_{name}", text, value=value)


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"stockwatch_{name}", text, value=value)


def by_reason(name: str, text: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"stockwatch_{name}", text, labels=["reason"])
    for reason, value in values.items():
        family.add_metric([reason], value)
    return family
