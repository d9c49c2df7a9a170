from collections import Counter

import pytest

from feeds.store.cluster.slots import (
    SLOT_OF_TAG,
    SLOTS,
    TAG_SLOTS,
    TAGS,
    Node,
    SlotMap,
    command_slot,
    key_slot,
    make_tags,
    tag_number,
    tag_prefix,
)

A, B, C = Node("10.0.0.1", 6379), Node("10.0.0.2", 6379), Node("10.0.0.3", 6379)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"foo", 12182),
        (b"{foo}.bar", 12182),
        (b"a{foo}{bar}", 12182),
        (b"123456789", 0x31C3),
        (b"{}foo", key_slot(b"{}foo")),
        (b"foo{", key_slot(b"foo{")),
    ],
)
def test_the_slot_of_a_key_follows_from_the_text_between_the_first_braces(key: bytes, slot: int):
    assert key_slot(key) == slot


def test_empty_and_open_braces_are_no_tag():
    assert key_slot(b"{}foo") != key_slot(b"{}bar")
    assert key_slot(b"foo{") != key_slot(b"bar{")


def test_the_tags_are_fixed_because_keys_depend_on_them():
    tags = make_tags()
    assert len(set(tags)) == TAGS
    assert tags[:5] == ("021", "029", "04s", "032", "018")
    assert tags[-5:] == ("02k", "00a", "00i", "00p", "00x")


@pytest.mark.parametrize("masters", range(2, 13))
def test_each_of_several_masters_gets_nearly_the_same_number_of_tags(masters: int):
    counts = Counter(slot * masters // SLOTS for slot in SLOT_OF_TAG)
    assert max(counts.values()) <= 1.25 * TAGS / masters


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "BTC/USD", "EURUSD=X"])
def test_the_tag_of_a_symbol_is_near_the_slot_of_the_plain_symbol(symbol: str):
    assert key_slot(tag_prefix(symbol).encode()) // TAG_SLOTS == tag_number(symbol)
    assert key_slot(symbol.encode()) // TAG_SLOTS == tag_number(symbol)


@pytest.mark.parametrize(
    ("arguments", "slot"),
    [
        (("GET", "foo"), 12182),
        (("GET", b"foo"), 12182),
        (("EVALSHA", "digest", 1, "foo", "argument"), 12182),
        (("PING",), None),
    ],
)
def test_the_slot_of_a_command_is_the_slot_of_its_first_key(arguments: tuple, slot: int | None):
    assert command_slot(arguments) == slot


def test_a_new_map_knows_only_the_seeds():
    slots = SlotMap([A, B])
    assert (slots.owner(0), slots.owners, slots.known, slots.is_complete) == (None, [], [A, B], False)


def test_a_map_takes_over_the_reply_of_a_node():
    slots = SlotMap([A])
    slots.replace(
        [
            [0, 99, [b"10.0.0.2", 6379, b"id"], [b"10.0.0.3", 6379, b"id"]],
            [100, SLOTS - 1, [b"", 6379, b"id"]],
        ],
        A,
    )
    assert (slots.owner(99), slots.owner(100), slots.owners) == (B, A, [B, A])
    assert slots.known == [A, B, C]
    assert slots.is_complete
    assert slots.version == 1


def test_the_same_reply_does_not_change_the_version():
    slots = SlotMap([A])
    for _ in range(2):
        slots.replace([[0, SLOTS - 1, ["10.0.0.2", 6379]]], A)
    assert slots.version == 1


def test_a_slot_moves_to_a_node_that_becomes_known():
    slots = SlotMap([A])
    slots.move(5, B)
    slots.move(5, B)
    slots.move(6, B)
    assert (slots.owner(5), slots.owner(4), slots.version) == (B, None, 2)
    assert slots.known == [A, B]


def test_a_node_that_answers_with_an_error_is_asked_last_and_its_error_is_kept():
    slots = SlotMap([A, B])
    assert not slots.note_reply(A, ConnectionError("refused"))
    assert slots.known == [B, A]
    assert slots.fault == ", because the nodes do not tell their slots: refused"


def test_a_reply_ends_the_fault():
    slots = SlotMap([A])
    slots.note_reply(A, ConnectionError("refused"))
    assert slots.note_reply(A, [[0, SLOTS - 1, ["10.0.0.2", 6379]]])
    assert (slots.owners, slots.fault) == ([B], "")


def test_a_node_that_does_not_answer_is_asked_last():
    slots = SlotMap([A, B])
    slots.put_last(A)
    assert slots.known == [B, A]
    assert str(A) == "10.0.0.1:6379"
