import pytest

from watchlist.gateway.fanout.delivery import BadOptions, Delivery
from watchlist.gateway.protocol import text_frame


def item(symbol, payload):
    return (symbol, text_frame(payload), payload)


@pytest.mark.parametrize(
    ("options", "delivery"),
    [
        (None, Delivery(batch=True)),
        ({}, Delivery(batch=True)),
        ({"max_hz": 4, "mode": "latest", "more": [1]}, Delivery(batch=True, hertz=4)),
        ({"max_hz": None}, Delivery(batch=True)),
        ({"max_hz": 0}, Delivery(batch=True)),
        ({"max_hz": 1e9}, Delivery(batch=True, hertz=50)),
        ({"max_hz": 1e-9}, Delivery(batch=True, hertz=0.1)),
        ({"mode": "all", "snapshot": False}, Delivery(batch=True, all=True, snapshot=False)),
    ],
)
def test_options_of_a_request_change_the_delivery(options, delivery):
    assert Delivery(batch=True).adopt(options) == delivery


@pytest.mark.parametrize(
    "options",
    [[], "latest", {"mode": "newest"}, {"snapshot": 1}, {"max_hz": "4"}, {"max_hz": -1}, {"max_hz": True}],
)
def test_a_value_that_an_option_cannot_have_is_refused_by_name(options):
    with pytest.raises(BadOptions, match="options"):
        Delivery().adopt(options)


def test_options_stay_in_force_until_they_are_changed_but_for_the_snapshot():
    delivery = Delivery().adopt({"mode": "all", "max_hz": 4, "snapshot": False}).adopt({})
    assert delivery == Delivery(all=True, hertz=4)


def test_an_echo_says_what_is_in_force():
    assert Delivery().echo() == {"mode": "latest", "max_hz": None, "snapshot": True}
    assert Delivery(hertz=4).echo() == {"mode": "latest", "max_hz": 4, "snapshot": True}
    assert Delivery(hertz=4, all=True).echo() == {"mode": "all", "max_hz": None, "snapshot": True}


def test_the_interval_follows_the_rate_in_steps_that_many_share():
    assert Delivery(hertz=4).interval == 0.25
    assert Delivery(hertz=50).interval == 0.02
    assert Delivery(hertz=3).interval == 0.33
    assert Delivery(hertz=4, all=True).interval == Delivery().interval == 0


def test_replies_and_updates_keep_their_order_in_a_batch():
    items = [
        (None, text_frame(b"r"), b""),
        item("A", b"1"),
        item("B", b"2"),
        (None, text_frame(b"s"), b""),
        item("A", b"3"),
    ]
    frames = [text_frame(payload) for payload in (b"r", b"[1,2]", b"s", b"[3]")]
    assert Delivery(batch=True).block(items) == b"".join(frames)
    assert [frame for _, frame in Delivery(batch=True).pieces(items)] == frames
    assert Delivery().block(items) == b"".join(text_frame(payload) for payload in (b"r", b"1", b"2", b"s", b"3"))
