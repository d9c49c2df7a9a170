from array import array
from random import Random

from watchlist.alerts.id_slots import MIN_CELLS, NOT_FOUND, IdSlots, _spread


def test_ids_that_fall_on_the_same_cell_are_found_and_removed():
    first = _spread(1) % MIN_CELLS
    ids = array("q", [number for number in range(1, 1000) if _spread(number) % MIN_CELLS == first][:3])
    slots = IdSlots(ids)
    for slot in range(3):
        slots.add(slot)
    slots.remove(ids[0])
    assert [slots.find(each) for each in ids] == [NOT_FOUND, 1, 2]
    slots.remove(ids[2])
    assert [slots.find(each) for each in ids] == [NOT_FOUND, 1, NOT_FOUND]


def test_many_changes_leave_the_same_slots_as_a_dict():
    rng, ids, plain = Random(4), array("q"), {}
    slots = IdSlots(ids)
    for slot in range(3_000):
        ids.append(rng.randrange(1, 50_000) * 3_000 + slot)
        slots.add(slot)
        plain[ids[slot]] = slot
        if rng.random() < 0.5:
            gone = rng.choice(list(plain))
            del plain[gone]
            slots.remove(gone)
    assert {each: slots.find(each) for each in ids} == {each: plain.get(each, NOT_FOUND) for each in ids}


def test_the_table_needs_at_most_twelve_bytes_per_id():
    ids = array("q", range(1, 100_001))
    slots = IdSlots(ids)
    for slot in range(100_000):
        slots.add(slot)
    assert slots.size <= 12 * 100_000
