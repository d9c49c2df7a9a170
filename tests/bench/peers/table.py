"""Writes the measured figures as Markdown."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench.peers.cases import ACCEPT, FAN_OUT, IDLE

Figures = Mapping[str, Any]
Results = Mapping[str, Mapping[str, Sequence[Figures]]]
"""A dict from the name of a case to a dict. This dict maps the title of a server to its figures in each turn."""
FLOOR = "floor"


def write_tables(results: Results, notes: Sequence[str]) -> str:
    """Returns the tables of all cases that were measured, and the notes below them."""
    tables = [
        write_fan_out(results),
        write_accepts(results.get(ACCEPT.name, {})),
        write_idle(results.get(IDLE.name, {})),
    ]
    return "\n\n".join([*filter(None, tables), "\n".join(f"- {note}" for note in notes)]) + "\n"


def write_fan_out(results: Results) -> str:
    rows = []
    for case in FAN_OUT:
        servers = results.get(case.name, {})
        floor = middle(servers[FLOOR], "updates_per_cpu_s") if FLOOR in servers else None
        rows += [format_fan_out(title, case.name, turns, floor) for title, turns in servers.items()]
    header = ("server", "clients x symbols x Hz", "updates/s", "per CPU-second", "of the floor", "p50, p99 ms", "core")
    return make_table((*header, "bytes per update"), rows) if rows else ""


def format_fan_out(title: str, name: str, turns: Sequence[Figures], floor: float | None) -> list[str]:
    per_cpu = middle(turns, "updates_per_cpu_s")
    saturated = ", saturated" if any(turn["saturated"] for turn in turns) else ""
    share = f"{per_cpu / floor:.0%}" if floor and title != FLOOR else ""
    size = [turn["bytes_per_update"] for turn in turns if turn["bytes_per_update"] is not None]
    return [
        title,
        name,
        f"{middle(turns, 'updates_s'):,.0f}{saturated}",
        f"{per_cpu:,.0f}",
        share,
        f"{middle(turns, 'p50_ms'):.1f}, {middle(turns, 'p99_ms'):.1f}",
        f"{middle(turns, 'core'):.0%}",
        f"{median(size):.0f}" if size else "",
    ]


def write_accepts(servers: Mapping[str, Sequence[Figures]]) -> str:
    rows = [
        [title, f"{middle(turns, 'accepts_s'):,.0f}", f"{middle(turns, 'us_per_accept'):,.0f}", count_lost(turns)]
        for title, turns in servers.items()
    ]
    return make_table((f"{ACCEPT.name}: server", "accepts/s", "us of CPU per accept", "refused or closed"), rows)


def write_idle(servers: Mapping[str, Sequence[Figures]]) -> str:
    rows = [[title, f"{middle(turns, 'bytes_per_socket'):,.0f}", count_lost(turns)] for title, turns in servers.items()]
    return make_table((f"{IDLE.name}: server", "bytes per socket", "refused or closed"), rows)


def count_lost(turns: Sequence[Figures]) -> str:
    lost = sum(turn["refused"] + turn["closed"] for turn in turns)
    return f"{lost:,.0f}" if lost else ""


def middle(turns: Sequence[Figures], name: str) -> float:
    return float(median(turn[name] for turn in turns))


def make_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown; an empty text if there are no rows."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if rows else ""
