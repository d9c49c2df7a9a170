import pytest

from watchlist.gateway.fanout.delivery import BadOptions, Delivery
from watchlist.gateway.framing import text_frame
from watchlist.gateway.messages import ReplyMessage, StateMessage, UpdateMessage


def make_update(symbol, payload):
    return UpdateMessage(symbol, text_frame(payload), payload)


@pytest.mark.parametrize(
    ("options", "delivery"),
    [
        (None, Delivery(batch=True)),
        ({}, Delivery(batch=True)),
        ({"max_hz": 4, "mode": "latest", "more": [1]}, Delivery(batch=True, hertz=4)),
        ({"max_hz": None}, Delivery(batch=True)),
        ({"max_hz": 0}, Delivery(batch=True, hertz=0.1)),
        ({"max_hz": float("1e-400")}, Delivery(batch=True, hertz=0.1)),
        ({"max_hz": 1e9}, Delivery(batch=True, hertz=50)),
        ({"max_hz": 1e-9}, Delivery(batch=True, hertz=0.1)),
        ({"mode": "all", "snapshot": False}, Delivery(batch=True, keep_all=True, snapshot=False)),
    ],
)
def test_options_of_a_request_change_the_delivery(options, delivery):
    assert Delivery(batch=True).with_options(options) == delivery


@pytest.mark.parametrize(
    "options",
    [[], "latest", {"mode": "newest"}, {"snapshot": 1}, {"max_hz": "4"}, {"max_hz": -1}, {"max_hz": True}],
)
def test_an_invalid_option_is_refused_by_name(options):
    with pytest.raises(BadOptions, match="options"):
        Delivery().with_options(options)


def test_options_stay_in_force_until_changed_except_the_snapshot():
    delivery = Delivery().with_options({"mode": "all", "max_hz": 4, "snapshot": False}).with_options({})
    assert delivery == Delivery(keep_all=True, hertz=4)


def test_the_snapshot_is_an_option_of_one_request():
    delivery = Delivery().with_options({"mode": "all", "snapshot": False})
    assert delivery.with_options(None) == delivery.lasting == Delivery(keep_all=True)


def test_the_options_in_force_are_shown():
    assert Delivery().as_options() == {"mode": "latest", "max_hz": None, "snapshot": True}
    assert Delivery(hertz=4).as_options() == {"mode": "latest", "max_hz": 4, "snapshot": True}
    assert Delivery(hertz=4, keep_all=True).as_options() == {"mode": "all", "max_hz": None, "snapshot": True}


def test_the_interval_follows_the_rate_rounded_to_10_ms():
    assert Delivery(hertz=4).interval == 0.25
    assert Delivery(hertz=50).interval == 0.02
    assert Delivery(hertz=3).interval == 0.33
    assert Delivery(hertz=4, keep_all=True).interval == Delivery().interval == 0


def test_messages_of_all_types_keep_their_order_in_batches():
    messages = [
        ReplyMessage(text_frame(b"r")),
        make_update("A", b"1"),
        make_update("B", b"2"),
        ReplyMessage(text_frame(b"s")),
        StateMessage("A", text_frame(b"t")),
        make_update("A", b"3"),
    ]
    frames = [text_frame(payload) for payload in (b"r", b"[1,2]", b"s", b"t", b"[3]")]
    block = Delivery(batch=True).make_block(messages)
    assert block.data == b"".join(frames)
    framed = block.split()
    assert [frame for _, frame in framed] == frames
    assert [message for contained, _ in framed for message in contained] == messages
    single = Delivery().make_block(messages)
    assert single.data == b"".join(message.frame for message in messages)
    assert single.split() == [((message,), message.frame) for message in messages]
