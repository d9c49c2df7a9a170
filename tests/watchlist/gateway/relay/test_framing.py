import pytest

from feeds.wire import MAX_VALUE_BYTES
from watchlist.gateway.relay.framing import (
    BATCH_BYTES,
    MAX_FRAME_BYTES,
    MAX_NAME_BYTES,
    MAX_NAMES,
    PREAMBLE,
    BadFrame,
    FrameReader,
    Kind,
    decode_names,
    decode_updates,
    encode_frame,
    encode_message,
    encode_names,
    encode_updates,
)


def read(*parts):
    """Returns the frames of a connection whose bytes arrive in these parts."""
    reader = FrameReader()
    return [frame for part in parts for frame in reader.feed(part)]


def read_content(frames):
    """Returns the contents of encoded frames."""
    return [content for _, content in read(PREAMBLE + frames)]


def test_the_bytes_of_each_kind_of_frame_are_those_of_version_1():
    assert PREAMBLE == b"stockwatch relay 1\n"
    assert encode_frame(Kind.BEAT) == b"\0\0\0\x01\x06"
    assert encode_names(Kind.JOIN, ["prices.A"]) == b'\0\0\0\x0d\x07["prices.A"]'
    (frame,) = encode_updates([encode_message(b"prices.A", b"{}")])
    assert frame == b"\0\0\0\x11\x01" + b"\0\x08\0\0\0\x02prices.A{}"
    assert [kind.value for kind in Kind] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_frames_are_the_same_however_their_bytes_are_split():
    sent = PREAMBLE + encode_frame(Kind.BEAT) + encode_names(Kind.JOINED, ["prices.A"]) + encode_frame(Kind.LOST)
    expected = [(Kind.BEAT, b""), (Kind.JOINED, b'["prices.A"]'), (Kind.LOST, b"")]
    assert read(sent) == expected
    assert read(*(sent[place : place + 1] for place in range(len(sent)))) == expected
    assert all(read(sent[:place], sent[place:]) == expected for place in range(len(sent)))


def test_a_connection_is_greeted_by_the_whole_preamble():
    reader = FrameReader()
    assert reader.feed(PREAMBLE[:-1]) == []
    assert not reader.greeted
    assert reader.feed(PREAMBLE[-1:]) == []
    assert reader.greeted


@pytest.mark.parametrize("other", [b"stockwatch relay 2\n", b"GET / HTTP/1.1\r\n", b"\0", PREAMBLE[:-1] + b"1"])
def test_another_version_or_program_is_refused(other):
    with pytest.raises(BadFrame, match="another version"):
        read(other)


@pytest.mark.parametrize("length", [0, MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_a_frame_of_a_wrong_length_is_refused_before_its_content_arrives(length):
    with pytest.raises(BadFrame, match=f"{length} bytes"):
        read(PREAMBLE + length.to_bytes(4, "big") + b"\x01")


def test_a_frame_of_the_longest_length_is_read():
    frame = encode_frame(Kind.UPDATES, bytes(MAX_FRAME_BYTES - 1))
    assert [len(content) for _, content in read(PREAMBLE + frame)] == [MAX_FRAME_BYTES - 1]


def test_names_are_the_same_after_encoding_and_decoding():
    names = ["prices.BRK.B", "prices.BTC/USD", "prices.ä"]
    assert [decode_names(content) for content in read_content(encode_names(Kind.JOIN, names))] == [names]


def test_no_names_need_no_frame():
    assert encode_names(Kind.JOIN, []) == b""


def test_many_names_are_sent_in_several_frames():
    names = [f"prices.S{number}" for number in range(2 * MAX_NAMES + 1)]
    parts = [decode_names(content) for content in read_content(encode_names(Kind.LEAVE, names))]
    assert [len(part) for part in parts] == [MAX_NAMES, MAX_NAMES, 1]
    assert [name for part in parts for name in part] == names


def test_the_longest_names_fit_into_one_frame():
    name = "ä" * (MAX_NAME_BYTES // 2)
    (content,) = read_content(encode_names(Kind.JOIN, [name] * MAX_NAMES))
    assert decode_names(content) == [name] * MAX_NAMES


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'["a"', b'["\xff"]', b'["a"] []', b"[" * 5000])
def test_a_content_that_is_no_list_of_names_is_refused(content):
    with pytest.raises(BadFrame, match="no list of names"):
        decode_names(content)


@pytest.mark.parametrize(
    "content", [b"[" + b",".join([b'"a"'] * (MAX_NAMES + 1)) + b"]", b'["' + b"a" * (MAX_NAME_BYTES + 1) + b'"]']
)
def test_too_many_names_and_too_long_ones_are_refused(content):
    with pytest.raises(BadFrame, match="too many names"):
        decode_names(content)


def decode_all(messages):
    frames = b"".join(encode_updates([encode_message(*message) for message in messages]))
    return [decode_updates(content) for content in read_content(frames)]


def test_messages_keep_their_order_and_bytes():
    messages = [(b"prices.A", b"\x00raw"), (b"prices.BTC/USD", b""), (b"prices.A", b"2")]
    assert decode_all(messages) == [messages]


def test_more_messages_than_fit_into_a_batch_are_sent_in_several_frames():
    messages = [(b"prices.A", bytes([number]) * 60_000) for number in range(10)]
    batches = decode_all(messages)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [message for batch in batches for message in batch] == messages
    assert all(len(frame) <= BATCH_BYTES for frame in encode_updates([encode_message(*each) for each in messages]))


def test_data_that_are_too_long_for_an_update_are_cut_and_still_too_long():
    ((channel, data),) = decode_all([(b"prices.A", bytes(10 * MAX_VALUE_BYTES))])[0]
    assert (channel, len(data)) == (b"prices.A", MAX_VALUE_BYTES + 1)
    assert decode_all([(b"prices.A", bytes(MAX_VALUE_BYTES))]) == [[(b"prices.A", bytes(MAX_VALUE_BYTES))]]


@pytest.mark.parametrize("missing", range(1, 16))
def test_a_frame_that_ends_inside_a_message_is_refused(missing):
    message = encode_message(b"prices.A", b"{}")
    with pytest.raises(BadFrame, match="inside a message"):
        decode_updates(message + message[:-missing])
