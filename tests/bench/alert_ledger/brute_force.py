"""Computes which alerts must fire, in the plainest way: `python brute_force.py FOLDER`.

Follows the definitions in docs/alerts.md. Imports nothing of the project, so that an error in the engine
is not repeated here. All times are in unix microseconds. An order is a pair (timestamp, seq_id).

FOLDER holds:

- `walk.csv`: the records of the topic in their order: at, symbol, price, timestamp, seq_id, source;
- `alerts.jsonl`: an alert per line, with its lives. A life begins when a person creates or resumes the alert, and ends
  when a person pauses or deletes it. `begin` and `end` are the row in the database at that moment;
- `market.json`: when the market days of each source begin, and the bars of the days before the walk: date, high, low,
  close. `slack` says how long an engine may take from a record to its evaluation.

Writes `expected.jsonl`: a firing per line. From an undecided firing on, the firings of the alert are not defined.
"""

import csv
import json
import sys
from bisect import bisect_left, insort
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from multiprocessing import Pool
from pathlib import Path
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
YEAR_DAYS = 52 * 7
"""How many days before the running day count for 52-week highs and lows."""

MAX_DELAY = 10 * SECOND
"""An update that is later than this counts for nothing in windows."""

LONG_WINDOW = 600
"""The length in seconds from which on a window has bars of a minute. Shorter ones have bars of a second."""

EXTREMES = ("day_high", "day_low", "year_high", "year_low")
EXPIRY_SLACK = 5 * SECOND
"""An expired alert stays for some seconds, so that a delayed update can still fire it. Whether such an update fires the
alert is not defined."""


def day_begin(day, zone, start):
    """Returns when the market day of a date begins."""
    return (datetime.combine(day, start, tzinfo=zone).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def day_of(timestamp, zone, start):
    """Returns the date of the market day at a time."""
    day = (EPOCH + timedelta(microseconds=timestamp)).astimezone(zone).date()
    return day if timestamp >= day_begin(day, zone, start) else day - timedelta(days=1)


class Seen:
    """An update as the alerts of its symbol see it.

    `late` says that a newer update came before. `newest` is the order of the newest update so far. `day_begins`,
    `day_ends` and `reference` belong to the market day of the newest update. `turns` says that the update begins a
    market day; the first update of a symbol begins none. `beats` holds the kinds whose extreme the update exceeds, each
    with the extreme before. `bases` is a dict from window to the price before it.
    """

    def __init__(self, row):
        self.at, self.price, self.order = int(row[0]), float(row[2]), (int(row[3]), int(row[4]))
        self.timestamp = self.order[0]
        self.bases = {}


class Day:
    """The market day of the newest update of a symbol: its reference price, and the extremes before each update.

    `bars` are the bars of earlier days.
    """

    def __init__(self, bars, date, reference):
        self.date, self.reference, self._bars = date, reference, bars
        self._high = self._low = None
        oldest = (date - timedelta(days=YEAR_DAYS)).isoformat()
        past = [bar for bar in bars if oldest <= bar[0] < date.isoformat()]
        self._past_high, self._past_low = max(bar[1] for bar in past), min(bar[2] for bar in past)

    def next(self, date, close):
        """Returns the day after this one. Each day of a walk has prices, so the previous close is the newest price."""
        return Day([*self._bars, (self.date.isoformat(), self._high, self._low, close)], date, close)

    def find_beaten(self, price):
        """Adds a price. Returns a dict from kind to the extreme that the price exceeds."""
        high, low, beats = self._high, self._low, {}
        if high is None:
            self._high = self._low = price
            year_high, year_low = self._past_high, self._past_low
        else:
            self._high, self._low = max(high, price), min(low, price)
            year_high, year_low = max(high, self._past_high), min(low, self._past_low)
            beats |= {"day_high": high} if price > high else {}
            beats |= {"day_low": low} if price < low else {}
        beats |= {"year_high": year_high} if price > year_high else {}
        beats |= {"year_low": year_low} if price < year_low else {}
        return beats


def read_symbols(folder, market):
    """Returns a dict from symbol to its updates in the order of the topic."""
    symbols, newest, days = {}, {}, {}
    with open(folder / "walk.csv", newline="") as file:
        for row in csv.reader(file):
            symbol, source, seen = row[1], row[5], Seen(row)
            start, zone = market["calendars"][source]
            calendar = ZoneInfo(zone), time.fromisoformat(start)
            before = newest.get(symbol)
            if before is not None and seen.order == before.order:
                continue  # a repeated record
            seen.late = before is not None and seen.order < before.order
            seen.turns = False
            if not seen.late:
                date = day_of(seen.timestamp, *calendar)
                if before is None:
                    bars = market["bars"][symbol]
                    days[symbol] = Day(bars, date, bars[-1][3])
                elif date != days[symbol].date:
                    days[symbol] = days[symbol].next(date, before.price)
                    seen.turns = True
                newest[symbol] = seen
            day = days[symbol]
            seen.newest, seen.reference = newest[symbol].order, day.reference
            seen.day_begins = day_begin(day.date, *calendar)
            seen.day_ends = day_begin(day.date + timedelta(days=1), *calendar)
            seen.beats = day.find_beaten(seen.price) if seen.timestamp >= seen.day_begins else {}
            symbols.setdefault(symbol, []).append(seen)
    return symbols


def find_bases(updates, window):
    """Finds the base of each update: the price of the newest update before the window of the update begins."""
    bar, known = (SECOND if window < LONG_WINDOW else 60 * SECOND), []
    for seen in updates:
        if seen.timestamp >= seen.newest[0] - MAX_DELAY:
            begins = seen.timestamp // bar * bar - window * SECOND
            before = bisect_left(known, ((begins, -1), 0.0)) - 1
            seen.bases[window] = known[before][1] if before >= 0 else None
            insort(known, (seen.order, seen.price))


def reference_of(alert, seen):
    """Returns the price to which a percentage refers, or None."""
    if alert["kind"] == "window_percent":
        return seen.bases.get(alert["window_seconds"])
    return seen.reference if alert["kind"] == "day_percent" else None


def level_of(alert, seen):
    """Returns the level of an alert at an update; None if the update changes nothing."""
    if alert["percent"] is None:
        return alert["level"]
    reference = reference_of(alert, seen)
    if alert["kind"] == "day_percent" and seen.timestamp < seen.day_begins:
        return None  # a late update of an earlier day, whose level is not known any more
    return None if reference is None else float(f"{reference * (1 + alert['percent'] / 100):.12g}")


def may_rise(alert):
    return alert["kind"] in ("up", "either") or (alert["percent"] is not None and alert["percent"] > 0)


def may_fall(alert):
    return alert["kind"] in ("down", "either") or (alert["percent"] is not None and alert["percent"] < 0)


def armed_side(alert, level, price):
    """Returns on which side of its level an alert is armed: -1 below, 1 above, 0 not armed."""
    if alert["kind"] in EXTREMES:
        return -1 if alert["kind"].endswith("high") else 1
    if price < level and may_rise(alert):
        return -1
    return 1 if price > level and may_fall(alert) else 0


def next_allowed(alert, seen):
    """Returns the time before which an alert that has fired does not fire again."""
    if alert["repeat"] == "daily":
        return seen.day_ends if seen.timestamp >= seen.day_begins else seen.day_begins
    return seen.timestamp + alert["cooldown_seconds"] * SECOND


def is_reached(side, level, price):
    return (side == -1 and price >= level) or (side == 1 and price <= level)


def move_level(alert, side, level, seen):
    """Returns the side of an alert whose level moves at the begin of a market day.

    If the price has passed the new level already, the alert is disarmed without a firing.
    """
    if is_reached(side, level, seen.price):
        side = 0
    return side or armed_side(alert, level, seen.price)


def fire_level(alert, begin, updates):  # noqa: C901 - one loop shows the whole definition
    """Yields the firings of one life of an alert with a level."""
    expires, level, fixed = alert["expires"], alert["level"], alert["percent"] is None
    side, arming, since, silent_until = begin["side"], begin["arming"], tuple(begin["since"]), begin["silent_until"]
    for seen in updates:
        if seen.order <= since:
            continue
        if not fixed and (level := level_of(alert, seen)) is None:
            continue
        if alert["kind"] == "day_percent" and seen.turns:
            if (moved := move_level(alert, side, level, seen)) != side or is_reached(side, level, seen.price):
                side, arming, since = moved, arming + bool(moved), seen.order
            continue
        if is_reached(side, level, seen.price):
            silent = seen.timestamp < silent_until
            if expires and seen.timestamp >= expires:
                return
            if seen.late and silent:
                continue
            if not silent:
                optional = bool(expires) and seen.at >= expires + EXPIRY_SLACK
                yield make_firing(alert, arming, side, level, seen, optional)
                if alert["repeat"] == "once":
                    return
                silent_until = next_allowed(alert, seen)
            side, since = 0, seen.newest
        if side == 0 and not seen.late:
            side = armed_side(alert, level, seen.price)
            if side:
                arming, since = arming + 1, seen.order


def fire_extreme(alert, begin, updates):
    """Yields the firings of one life of an alert on new highs or lows, which is always armed.

    An update is a new high of the day if it is above all prices of its market day that came before, and of 52 weeks if
    it is also above all prices of the 364 days before. The first price of a day is no new high of the day.
    """
    arming, since, silent_until = begin["arming"], tuple(begin["since"]), begin["silent_until"]
    for seen in updates:
        if alert["kind"] not in seen.beats or seen.order <= since:
            continue
        if alert["expires"] and seen.timestamp >= alert["expires"]:
            return
        if seen.timestamp < silent_until:
            continue
        optional = bool(alert["expires"]) and seen.at >= alert["expires"] + EXPIRY_SLACK
        yield make_firing(alert, arming, begin["side"], seen.beats[alert["kind"]], seen, optional)
        if alert["repeat"] == "once":
            return
        arming, since, silent_until = arming + 1, seen.newest, next_allowed(alert, seen)


def fire_silence(alert, begin, updates, slack):
    """Yields the firings of one life of an alert on missing prices.

    An update fires the alert if the next one that is not late is a time span newer. This is not defined for the last
    update of the walk. It is undecided if the next update is less newer, but was written too late for the clock of the
    engine, or if the alert may be unknown to the engine. The life is not computed further then, because whether an
    alert is silent depends on its last firing.
    """
    span, expires = alert["window_seconds"] * SECOND, alert["expires"]
    side, arming, since, silent_until = begin["side"], begin["arming"], tuple(begin["since"]), begin["silent_until"]
    newest = [seen for seen in updates if not seen.late]
    for seen, after in pairwise(newest):
        is_armed = side != 0 if seen.order == since else seen.order > since
        due = seen.timestamp + span
        if not is_armed or seen.timestamp < silent_until or 0 < expires <= due:
            continue
        if after.timestamp < due and after.at + slack < due:
            continue
        arming += side == 0
        undecided = after.timestamp < due or after.at < begin["at"] + slack
        fired = make_firing(alert, arming, -1, None, seen, False)
        yield fired | {"at": due, "undecided": undecided, "next": after.order}
        if alert["repeat"] == "once" or undecided:
            return
        side, since, silent_until = 0, seen.order, next_allowed(alert, seen)


def make_firing(alert, arming, side, level, seen, optional):
    return {
        "alert": alert["id"],
        "arming": arming,
        "side": side,
        "level": level,
        "reference": reference_of(alert, seen),
        "price": seen.price,
        "timestamp": seen.timestamp,
        "seq_id": seen.order[1],
        "late": seen.late,
        "optional": optional,
        "at": seen.at,
    }


def was_written(fired, end):
    """Returns whether the row says that the alert had fired when a person ended its life."""
    return fired["arming"] < end["arming"] or (fired["arming"] == end["arming"] and end["side"] == 0)


def may_be_unwritten(fired, end):
    """Returns whether the engine may not have evaluated an update yet when a person ended the life of the alert.

    Such a firing is not written any more: the person has changed the alert first.
    """
    if "next" in fired:  # a silence: it may be noticed when the next update is evaluated
        return list(fired["next"]) > end["evaluated"]
    return fired["late"] or [fired["timestamp"], fired["seq_id"]] > end["evaluated"]


def fire_life(alert, begin, updates, slack):
    """Yields the firings of one life of an alert."""
    if alert["kind"] == "no_price":
        return fire_silence(alert, begin, updates, slack)
    return (fire_extreme if alert["kind"] in EXTREMES else fire_level)(alert, begin, updates)


def fire(alert, updates, slack):
    """Yields the firings of all lives of an alert.

    A firing that was not written before the end of its life is marked `unseen`, if this is allowed.
    """
    for life in alert["lives"]:
        end = life["end"]
        for fired in fire_life(alert, life["begin"], updates, slack):
            if end is None or was_written(fired, end):
                yield fired | {"unseen": False}
            elif fired["at"] < end["at"]:
                unseen = may_be_unwritten(fired, end)
                yield fired | {"unseen": unseen, "waited": end["at"] - fired["at"]}


def is_armed_wrongly(alert, begin, updates):
    """Returns whether a life begins on another side than the update says at which the alert was armed."""
    if alert["kind"] == "window_percent":
        return begin["side"] != 0  # the first update after the beginning arms it
    for seen in updates:
        if seen.order == tuple(begin["since"]) and not seen.late:
            if alert["kind"] == "no_price":
                is_silent = begin["at"] - seen.timestamp >= alert["window_seconds"] * SECOND
                return begin["side"] != (0 if is_silent else -1)
            return begin["side"] != armed_side(alert, level_of(alert, seen), seen.price)
    return False


def compute(work):
    """Returns the firings of the alerts of one symbol, and the ids of alerts that were armed on a wrong side."""
    alerts, updates, slack = work
    for window in {alert["window_seconds"] for alert in alerts if alert["kind"] == "window_percent"}:
        find_bases(updates, window)
    fired = [each for alert in alerts for each in fire(alert, updates, slack)]
    wrong = [
        alert["id"] for alert in alerts for life in alert["lives"] if is_armed_wrongly(alert, life["begin"], updates)
    ]
    return fired, wrong


def main(folder):
    market = json.loads((folder / "market.json").read_text())
    symbols, alerts = read_symbols(folder, market), {}
    for line in (folder / "alerts.jsonl").read_text().splitlines():
        alert = json.loads(line)
        alerts.setdefault(alert["symbol"], []).append(alert)
    wrong = []
    works = [(alerts[symbol], symbols[symbol], market["slack"]) for symbol in sorted(alerts)]
    with Pool(2) as pool, open(folder / "expected.jsonl", "w") as file:
        for fired, wrongly in pool.imap(compute, works):
            wrong += wrongly
            for each in fired:
                file.write(json.dumps(each) + "\n")
    (folder / "armed_wrongly.json").write_text(json.dumps(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
