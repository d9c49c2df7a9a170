import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwatch.serving.multipart_parts import PartCounter

MULTIPART = "multipart/form-data; boundary=b"


def count_parts(pieces: list[bytes], *content_types: str) -> int:
    counter = PartCounter(content_types or [MULTIPART])
    for piece in pieces:
        counter.add(piece)
    return counter.count


@given(st.lists(st.sampled_from([b"-", b"--", b"--b", b"b", b"\r\n", b"", b"x--b"])))
def test_boundaries_are_counted_wherever_the_body_is_cut(pieces):
    assert count_parts(pieces) == b"".join(pieces).count(b"--b")


@pytest.mark.parametrize(
    ("content_type", "count"),
    [
        (MULTIPART, 2),
        ('multipart/mixed; a=c; boundary="b"', 2),
        ("multipart/form-data; boundary*=us-ascii''b", 2),
        ("multipart/form-data; boundary=c", 0),
        ("multipart/form-data", 0),
        ("multipart/form-data; boundary*=unknown''b", 0),
        ("application/x-www-form-urlencoded; boundary=b", 0),
        ("", 0),
    ],
)
def test_only_the_boundary_of_a_multipart_body_is_counted(content_type, count):
    assert count_parts([b"--b\r\n\r\n--b--"], content_type) == count


def test_several_types_are_read_as_one_as_django_does():
    assert count_parts([b"--b"], MULTIPART, "text/plain") == 0
    assert count_parts([b"--b,text/plain"], MULTIPART, "text/plain") == 1
