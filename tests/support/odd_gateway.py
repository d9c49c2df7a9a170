"""A WebSocket server that sends JSON frames that no gateway sends, and then an update."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

ODD_FRAMES = (
    *("null", "1", "true", '"text"', "[]", "[[[]]]", "[null,1,[]]", "{}", "1e999", '"\\ud800"', "9" * 400),
    "[" * 5000 + "]" * 5000,
    *('{"type":null}', '{"type":[]}', '{"type":{}}', '{"type":1}', '{"type":"new"}', '{"symbol":"AAPL"}'),
    *('{"type":"ack"}', '{"type":"ack","rejected":[1]}', '{"type":"ack","rejected":{"AAPL":{"a":1}}}'),
    *('{"type":"ticker"}', '{"type":"ticker","symbol":[],"name":1}', '{"type":"ticker","symbol":"AAPL","base":true}'),
    '{"type":"ticker","symbol":"AAPL","base":1e308,"previous_close":-1,"decimals":99999999999999,"name":"\\u001b[31m"}',
    *('{"type":"heartbeat"}', '{"type":"heartbeat","timestamp":"x","source":["\\u001b"]}'),
    '{"type":"heartbeat","timestamp":18446744073709551615,"source":{}}',
    *(
        '{"type":"reconnect"}',
        '{"type":"reconnect","retry_after_ms":"x"}',
        '{"type":"reconnect","retry_after_ms":-1e300}',
    ),
    *('{"symbol":"AAPL","price":"x","seq_id":[]}', '{"symbol":{},"price":1,"timestamp":1,"seq_id":1}'),
    '{"symbol":"AAPL","price":1,"timestamp":18446744073709551615,"seq_id":1}',
    '{"symbol":"AAPL","price":1e308,"timestamp":1e300,"seq_id":true}',
)
LAST_FRAME = '{"symbol":"AAPL","price":123.5,"timestamp":1766480000000000,"seq_id":42,"type":"trade"}'


@contextmanager
def serve_odd_frames() -> Iterator[str]:
    """Yields the URL of the server. After the first message of a client, the server sends all frames to the client."""

    def handle(connection: ServerConnection) -> None:
        try:
            connection.recv()
            for frame in (*ODD_FRAMES, LAST_FRAME):
                connection.send(frame)
            connection.recv()
        except ConnectionClosed:
            return

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "ws://{}:{}/ws".format(*server.socket.getsockname())
        finally:
            server.shutdown()
            thread.join()
