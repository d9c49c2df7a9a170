"""Compares the firings in the database with those that `brute_force` has computed."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Firing = dict[str, Any]
NUMBERS = ("arming", "side", "level", "reference", "price")
FAULTS = ("missed", "twice", "extra", "other numbers", "armed on a wrong side")
SHOWN = 20


def compare(expected: list[Firing], found: list[Firing], kind: Callable[[int], str]) -> dict[str, Any]:
    """Returns counts by name. A firing is one event if alert and update are equal."""
    undecided = _find_undecided(expected)
    dropped = sum(not _is_decided(each, undecided) for each in found)
    expected = [each for each in expected if _is_decided(each, undecided)]
    found = [each for each in found if _is_decided(each, undecided)]
    due = {_key(each): each for each in expected}
    required = {key for key, each in due.items() if not (each["optional"] or each["unseen"])}
    fired = Counter(map(_key, found))
    missed = sorted(required - fired.keys())
    extra = sorted(fired.keys() - due.keys())
    pairs = [(due[_key(each)], each) for each in found if _key(each) in due]
    unequal = [(want, each) for want, each in pairs if any(want[name] != each[name] for name in NUMBERS)]
    late = [(want, each) for want, each in pairs if want["late"] != each["late"]]
    unseen = [each for key, each in due.items() if each["unseen"] and key not in fired]
    return {
        "expected firings by kind": _count(kind(key[0]) for key in required),
        "firings by kind": _count(kind(each["alert"]) for each in found),
        "alerts whose later firings are not defined": len(undecided),
        "firings of these, not compared": dropped,
        "late firings": sum(each["late"] for each in found),
        "not written, because a person changed the alert first": len(unseen),
        "the longest of these had waited, s of the walk": max((each["waited"] / 1e6 for each in unseen), default=0.0),
        "missed": len(missed),
        "twice": sum(count - 1 for count in fired.values()),
        "extra": len(extra),
        "missed or extra by kind": _count(kind(key[0]) for key in [*missed, *extra]),
        "other numbers": len(unequal),
        "other late marks": len(late),
        "examples": {
            "missed": [due[key] for key in missed[:SHOWN]],
            "extra": extra[:SHOWN],
            "other numbers": unequal[:SHOWN],
            "other late marks": late[:SHOWN],
        },
    }


def _find_undecided(expected: Iterable[Firing]) -> dict[int, int]:
    """Returns the alerts with an undecided firing, each with the time of its first one."""
    undecided: dict[int, int] = {}
    for each in expected:
        if each.get("undecided"):
            undecided[each["alert"]] = min(each["timestamp"], undecided.get(each["alert"], each["timestamp"]))
    return undecided


def _is_decided(firing: Firing, undecided: Mapping[int, int]) -> bool:
    return firing["timestamp"] < undecided.get(firing["alert"], firing["timestamp"] + 1)


def _key(firing: Firing) -> tuple[int, int, int]:
    return firing["alert"], firing["timestamp"], firing["seq_id"]


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def read_expected(file: Path) -> list[Firing]:
    return [json.loads(line) for line in file.read_text().splitlines()]
