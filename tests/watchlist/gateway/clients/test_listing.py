import json

import pytest

from watchlist.gateway.clients.listing import (
    MAX_REPLY_BYTES,
    BadReply,
    ClientEntry,
    ProcessReply,
    decode_reply,
    encode_reply,
    is_request,
)
from watchlist.gateway.clients.table import Owners, format_table, list_rows
from watchlist.gateway.closing.kicks import Kicks, name_subjects


def entry(address: str = "203.0.113.9", **more: object) -> ClientEntry:
    fields = {"kind": "ws", "account": None, "token": None, "symbols": ["AAPL"], "symbol_count": 1, "age": 5}
    return ClientEntry(**{"address": address, "backlog": 0, "conflated": 0, **fields, **more})


def test_an_answer_survives_its_way_through_redis():
    reply = ProcessReply(1, [entry(account=7)])
    assert decode_reply(encode_reply(reply)) == reply


@pytest.mark.parametrize("value", [b"", b"[]", b'{"total":"x"}', b"\xff", b"[" * 100_000, b" " * (MAX_REPLY_BYTES + 1)])
def test_any_other_value_is_no_answer(value: bytes):
    with pytest.raises(BadReply):
        decode_reply(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(b"0" * 32, True), (b"", False), (b"0" * 33, False), (b"x" * 32, False), ("0" * 32, False)]
)
def test_only_the_id_of_a_request_is_one(value: object, expected: bool):
    assert is_request(value) is expected


def test_connections_are_sorted_by_address_and_age_and_name_their_owner():
    owners = Owners({7: "maria"}, {3: "jan"})
    entries = [
        *(entry("b"), entry("a", age=1, account=7), entry("a", age=9, token=3)),
        *(entry("c", account=8), entry("d", token=4)),
    ]
    rows = list_rows({"host:1": ProcessReply(5, entries)}, owners)
    assert [(row["address"], row["age"], row["account"]) for row in rows] == [
        *(("a", 9, "jan"), ("a", 1, "maria"), ("b", 5, "")),
        *(("c", 5, "account 8"), ("d", 5, "token 4")),
    ]
    assert json.loads(json.dumps(rows)) == rows


def test_the_table_says_what_is_not_shown():
    names = [f"S{number}" for number in range(8)]
    replies = {"one": ProcessReply(9, [entry(symbols=names, symbol_count=10)])}
    lines = format_table(replies, ["two\x1b[2J"], list_rows(replies, Owners({}, {}))).split("\n")
    assert lines[0].split() == ["address", "account", "kind", "age", "backlog", "conflated", "symbols"]
    assert " ".join(lines[1].split()) == "203.0.113.9 ws 5 s 0 0 S0 S1 S2 S3 S4 S5 and 4 more"
    assert lines[2:] == [
        "9 connections of 1 processes",
        "8 further connections are not shown",
        "two?[2J has not answered",
    ]
    assert format_table({}, [], []).split("\n")[1:] == ["0 connections of 0 processes"]


def test_a_client_is_refused_until_the_time_is_over():
    kicks = Kicks()
    assert kicks.seconds_left(100.0, "a", 7) == 0
    kicks.replace({"address:a": 1.5, "account:7": 60.0}, now=100.0)
    assert kicks.seconds_left(100.0, "a") == 2
    assert kicks.seconds_left(101.5, "a") == 0
    assert kicks.seconds_left(100.0, "b", account=7) == 60
    assert kicks.seconds_left(100.0, "b", account=8) == 0
    kicks.replace({}, now=100.0)
    assert kicks.seconds_left(100.0, "a") == 0


def test_an_address_and_an_account_are_different_subjects():
    assert name_subjects("a") == ["address:a"]
    assert name_subjects("a", 7) == ["address:a", "account:7"]
