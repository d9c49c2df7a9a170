"""Stores the newest audit of each source in Redis, where the page `/feeds/audit` reads it.

An audit compares the recorded minutes of a day with the minutes that the source reports. The Redis string
`audit:SOURCE` holds the newest audit of a source as JSON for eight days.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import msgspec
import redis

from feeds.store.connection import answering
from feeds.store.keys import group_prefix

AUDIT_PREFIX = "audit:"
AUDIT_GROUP = "audit"
TTL = timedelta(days=8)


class SymbolAudit(msgspec.Struct, frozen=True):
    """How well the recorded minutes of a symbol on one day match the minutes that the source reports.

    `minutes` is the number of minutes in which the source has trades. Each of these minutes is counted in one field:

    - `exact`: the recorded minute is equal;
    - `different`: the recorded minute is not equal;
    - `missing`: the minute was not recorded;
    - `replaced`: the minute was recorded incompletely, and a fetched bar replaced it before the audit.

    The other fields are:

    - `lost` and `lost_volume`: the number and the volume of trades that the recorded minutes lack;
    - `repeated` and `repeated_volume`: the number and the volume of trades that the recorded minutes have too often;
    - `incomplete`: the number of recorded minutes in which the feeder lost trades, without the `replaced` minutes;
    - `problem`: the reason why the symbol could not be compared.

    Volumes are in units of the instrument. `lost` and `repeated` are None if the source does not count trades.
    """

    symbol: str
    minutes: int = 0
    exact: int = 0
    different: int = 0
    missing: int = 0
    replaced: int = 0
    lost: int | None = None
    repeated: int | None = None
    lost_volume: float = 0.0
    repeated_volume: float = 0.0
    problem: str = ""
    incomplete: int = 0


class AuditReport(msgspec.Struct, frozen=True):
    """The audit of one source.

    `day` is the market day, such as 2026-11-22. `made_at` is in unix seconds.
    """

    source: str
    day: str
    made_at: int
    symbols: list[SymbolAudit]


_decode = msgspec.json.Decoder(AuditReport).decode


def write_report(client: redis.Redis, report: AuditReport) -> None:
    """Stores a report. Replaces the earlier report of the same source. Raises StoreUnavailable."""
    with answering():
        client.set(_prefix(client) + report.source, msgspec.json.encode(report), ex=TTL)


def read_reports(client: redis.Redis, sources: Collection[str]) -> list[AuditReport]:
    """Returns the newest report of each of these sources. Raises StoreUnavailable.

    Leaves out a source without a valid report.
    """
    with answering():
        values: list[Any] = client.mget([_prefix(client) + source for source in sources])
    return [report for value in values if (report := _read(value)) is not None]


def _prefix(client: redis.Redis) -> str:
    return group_prefix(client, AUDIT_GROUP) + AUDIT_PREFIX


def _read(value: bytes | None) -> AuditReport | None:
    if value is None:
        return None
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
