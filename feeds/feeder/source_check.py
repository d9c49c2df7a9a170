"""Connects to one source once, and reports the result for `manage.py feed check`."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence

import msgspec

from feeds.feeder.network.connection import Connection, Endpoint
from feeds.feeder.network.endings import EndingKind
from feeds.feeder.network.http_client import HttpClient, RequestFailed
from feeds.sources.adapter import BadMessage, Source
from feeds.sources.events import Event, Heartbeat, SourceStatus, Subscribed, SymbolRefused, Trade

LISTEN_SECONDS = 5.0
"""How long to listen for trades after all symbols are subscribed to."""


class CheckReport(msgspec.Struct):
    """The result of a check.

    `failure` says why the connection failed. `list_failure` says why the list of instruments could not be read. Both
    are empty after a success. `least_lag` is the shortest time from a trade to its receipt, in seconds. `refused` is a
    dict from native symbol to the reason of the refusal. `unlisted` are native symbols that are not in the source's
    list of instruments.
    """

    failure: str = ""
    status: str = ""
    subscribe_seconds: float | None = None
    least_lag: float | None = None
    messages: int = 0
    acknowledged: set[str] = msgspec.field(default_factory=set)
    refused: dict[str, str] = msgspec.field(default_factory=dict)
    unlisted: list[str] = msgspec.field(default_factory=list)
    list_failure: str = ""


async def check_source(
    source: Source, endpoint: Endpoint, rest_url: str, natives: Collection[str], seconds: float = LISTEN_SECONDS
) -> CheckReport:
    """Connects to a source, subscribes to `natives`, and listens for up to `seconds` seconds.

    After that, reads the source's list of instruments.
    """
    report = CheckReport()
    begin = time.monotonic()

    def handle(events: Sequence[Event], receipt: int) -> None:
        report.messages += 1
        for event in events:
            note(report, event, receipt)
        if report.subscribe_seconds is None and report.acknowledged:
            report.subscribe_seconds = time.monotonic() - begin

    connection = Connection(source, endpoint, natives, handle)
    task = asyncio.create_task(connection.run())
    limit = endpoint.open_seconds + 2 * endpoint.acknowledgement_seconds
    ready = asyncio.create_task(connection.ready.wait())
    await asyncio.wait({ready, task}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        await asyncio.wait({task}, timeout=seconds)
    ready.cancel()
    connection.close()
    ending = await task
    report.failure = "" if ending.kind is EndingKind.REPLACED else ending.reason
    await read_list(source, endpoint, rest_url, natives, report)
    return report


def note(report: CheckReport, event: Event, receipt: int) -> None:
    """Adds an event to the report. `receipt` is in unix microseconds."""
    match event:
        case Subscribed(natives):
            report.acknowledged.update(natives)
        case SymbolRefused(native, reason):
            report.refused[native] = reason
        case SourceStatus(state, reason):
            report.status = f"{state.value} {reason}".strip()
        case Trade(past=False):
            lag = (receipt - event.timestamp) / 1e6
            report.least_lag = lag if report.least_lag is None else min(lag, report.least_lag)
        case Heartbeat():
            report.status = report.status or "connected"


async def read_list(
    source: Source, endpoint: Endpoint, rest_url: str, natives: Collection[str], report: CheckReport
) -> None:
    """Adds to the report the native symbols that are not in the source's list of instruments."""
    request = source.history.instruments()
    if request is None:
        return
    http = HttpClient(source, rest_url, endpoint.credentials)
    try:
        known = source.history.read_instruments(await http.get(request))
        report.unlisted = sorted(set(natives) - known.keys())
    except (RequestFailed, BadMessage) as error:
        report.list_failure = str(error)
    finally:
        await http.close()


def describe(report: CheckReport, title: str, symbols: Mapping[str, str]) -> list[str]:
    """Returns the report as lines. `symbols` is a dict from native symbol to our symbol."""
    if report.failure:
        return [f"{title}: not connected: {report.failure}"]
    lines = [
        f"{title}: {report.status or 'connected'}, {len(report.acknowledged)} of {len(symbols)} tickers subscribed"
    ]
    if report.subscribe_seconds is not None:
        lines.append(f"connected and subscribed after {report.subscribe_seconds * 1000:.0f} ms")
    lines.append(describe_lag(report.least_lag))
    lines += [f"{symbols.get(native, native)}: refused: {reason}" for native, reason in sorted(report.refused.items())]
    lines += [
        f"{symbols.get(native, native)}: the source has no instrument {native}"
        for native in report.unlisted
        if native not in report.refused
    ]
    return lines + ([f"list of instruments not read: {report.list_failure}"] if report.list_failure else [])


def describe_lag(lag: float | None) -> str:
    if lag is None:
        return "no trade within the time, so latency and clock difference are unknown"
    if lag < 0:
        return f"the clock of the source is at least {-lag * 1000:.0f} ms ahead of ours"
    return f"a trade arrives {lag * 1000:.0f} ms after its time at the source: latency and clock difference together"
