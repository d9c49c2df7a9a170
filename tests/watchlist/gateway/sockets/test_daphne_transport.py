"""Direct writes to Daphne's connection. The tests of real gateways cover the rest."""

from types import SimpleNamespace

from watchlist.gateway.sockets.daphne_transport import MAX_WRITE_BYTES, DaphneTransport


def test_a_tls_layer_is_given_a_bounded_block():
    connection = SimpleNamespace(dataBuffer=b"", _tempDataLen=0)
    written = []
    tls = SimpleNamespace(transport=connection, connected=True, disconnecting=False, write=written.append)
    transport = DaphneTransport.__new__(DaphneTransport)
    transport._transport, transport._connection, transport._plain = tls, connection, False
    assert transport.write(b"x" * 10 * MAX_WRITE_BYTES) == MAX_WRITE_BYTES
    assert transport.write(b"y") == 1
    assert [len(block) for block in written] == [MAX_WRITE_BYTES, 1]
