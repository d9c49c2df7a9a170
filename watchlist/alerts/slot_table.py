"""Holds the state of many alerts in arrays, 69 bytes per alert. Pure.

An alert has a slot: the index of the alert's values in all arrays. The slot of a removed alert is used again.
"""

from array import array
from typing import Any

from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alerts.id_slots import IdSlots
from watchlist.alerts.records import AlertChange, AlertRecord, Order

RISE, FALL, PERCENT, EXTREME, YEAR, WINDOW, SILENCE = 1, 2, 4, 8, 16, 32, 64
"""Bits of a condition.

RISE: the alert fires if the price rises to the level. FALL: it fires if the price falls to the level. PERCENT: the
value of the alert is a percent, from which the level is computed. EXTREME: the alert fires at a new high (with RISE) or
a new low (with FALL) of the day. YEAR: with EXTREME, the high or low is that of 52 weeks. WINDOW: the value is a
percent of the price at the beginning of a window. SILENCE: the alert fires if there is no update for some time.
"""

DAY_HIGH, DAY_LOW = EXTREME | RISE, EXTREME | FALL
YEAR_HIGH, YEAR_LOW = YEAR | DAY_HIGH, YEAR | DAY_LOW

# In Python 3.11, reading a member of an enumeration takes several times as long as reading a global name. With these
# names, a million alerts are loaded a second sooner.
BELOW, NONE, ABOVE = Side.BELOW, Side.NONE, Side.ABOVE
DAY_PERCENT, WINDOW_PERCENT = Kind.DAY_PERCENT, Kind.WINDOW_PERCENT

CONDITIONS = {
    Kind.UP: RISE,
    Kind.DOWN: FALL,
    Kind.EITHER: RISE | FALL,
    Kind.DAY_HIGH: DAY_HIGH,
    Kind.DAY_LOW: DAY_LOW,
    Kind.YEAR_HIGH: YEAR_HIGH,
    Kind.YEAR_LOW: YEAR_LOW,
    Kind.NO_PRICE: SILENCE,
}

REPEATS = (Repeat.ONCE, Repeat.DAILY, Repeat.EACH)


def condition_of(kind: Kind, value: float) -> int:
    """Returns the bits of an alert's condition, such as RISE for Kind.UP."""
    if kind is DAY_PERCENT or kind is WINDOW_PERCENT:
        return (PERCENT if kind is DAY_PERCENT else WINDOW) | (RISE if value > 0 else FALL)
    return CONDITIONS[kind]


class SlotTable:
    """The state of alerts, in arrays by slot. AlertRecord explains most arrays.

    `watches` holds `Watch.number`, the number of the alert's symbol. `minutes` holds `window_seconds` in minutes.
    """

    def __init__(self) -> None:
        self.ids = array("q")
        self.values = array("d")
        self.since_timestamps = array("q")
        self.since_seq_ids = array("q")
        self.silent_until = array("q")
        self.expires = array("q")
        self.cooldowns = array("I")
        self.armings = array("I")
        self.versions = array("I")
        self.watches = array("I")
        self.minutes = array("H")
        self.conditions = array("B")
        self.repeats = array("B")
        self.sides = array("b")
        self._arrays: list[array[Any]] = [each for each in vars(self).values() if isinstance(each, array)]
        self._free: list[int] = []
        self._slots = IdSlots(self.ids)

    def __len__(self) -> int:
        return len(self.ids) - len(self._free)

    @property
    def size(self) -> int:
        """The bytes of all arrays and of the look-up by id."""
        return sum(each.itemsize * len(each) for each in self._arrays) + self._slots.size

    def find(self, alert_id: int) -> int:
        """Returns the slot of an alert, or `id_slots.NOT_FOUND`."""
        return self._slots.find(alert_id)

    def add(self, record: AlertRecord, watch: int) -> int:
        """Adds an alert and returns its slot. `watch` is `Watch.number` of the symbol."""
        condition = condition_of(record.kind, record.value)
        slot = self._free.pop() if self._free else self._extend()
        self.ids[slot], self.values[slot] = record.id, record.value
        self.since_timestamps[slot], self.since_seq_ids[slot] = record.since
        self.silent_until[slot], self.expires[slot] = record.silent_until, record.expires
        self.cooldowns[slot], self.armings[slot] = record.cooldown_seconds, record.arming
        self.versions[slot], self.watches[slot] = record.version, watch
        self.conditions[slot], self.sides[slot] = condition, record.side
        self.minutes[slot] = record.window_seconds // 60
        self.repeats[slot] = REPEATS.index(record.repeat)
        self._slots.add(slot)
        return slot

    def _extend(self) -> int:
        for each in self._arrays:
            each.append(0)
        return len(self.ids) - 1

    def remove(self, slot: int) -> None:
        """Removes an alert. Its slot may get another alert."""
        self._slots.remove(self.ids[slot])
        self.ids[slot] = 0
        self._free.append(slot)

    def since(self, slot: int) -> Order:
        """Returns the order of the update at which the alert was last armed or last fired."""
        return self.since_timestamps[slot], self.since_seq_ids[slot]

    def set_side(self, slot: int, side: Side, since: Order) -> None:
        """Arms the alert on a side, or disarms it. A newly armed alert gets the next arming number."""
        if side:
            self.armings[slot] += 1
        self.sides[slot] = side
        self.since_timestamps[slot], self.since_seq_ids[slot] = since

    def repeat(self, slot: int) -> Repeat:
        """Returns how often the alert fires."""
        return REPEATS[self.repeats[slot]]

    def change(self, slot: int, state: State = State.ACTIVE) -> AlertChange:
        """Returns the state of an alert as a change to be written."""
        return AlertChange(
            self.ids[slot],
            self.versions[slot],
            state,
            Side(self.sides[slot]),
            self.armings[slot],
            self.since(slot),
            self.silent_until[slot],
        )
