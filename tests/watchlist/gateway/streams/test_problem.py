import json
import re

import pytest

from tests.support.source_files import ROOT
from watchlist.gateway.streams.problem import DETAILS, TITLES, WRONG_METHOD, Problem, describe_refusal
from watchlist.gateway.streams.response_head import problem_headers, stream_headers, write_head, write_problem

SOCKETS = ROOT / "watchlist" / "gateway" / "sockets"
CODE = "".join((SOCKETS / name).read_text() for name in ("admission.py", "tokens/verifier.py"))
REFUSALS = re.findall(r'Refusal\("([^"]+)", (\d+)', CODE)


@pytest.mark.parametrize(("reason", "status"), [pair for pair in REFUSALS if pair[0] != "query"])
def test_every_refusal_of_a_connection_has_a_sentence(reason, status):
    problem = describe_refusal(reason, int(status), 5)
    assert (problem.detail, problem.title) == (DETAILS[reason], TITLES[int(status)])


def test_a_problem_is_encoded_as_rfc_9457_says():
    problem = Problem(404, "unknown symbols", "Unknown symbols: [X]", symbols=("X",))
    assert json.loads(problem.encode()) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Unknown symbols: [X]",
        "reason": "unknown symbols",
        "symbols": ["X"],
    }
    assert "symbols" not in json.loads(WRONG_METHOD.encode())


def test_a_problem_may_be_read_by_pages_and_says_when_to_come_again():
    headers = dict(problem_headers(Problem(429, "full", "The gateway is full", 5), 100))
    assert headers == {
        "Content-Type": "application/problem+json",
        "Content-Length": "100",
        "Cache-Control": "no-store",
        "Access-Control-Allow-Origin": "*",
        "Retry-After": "5",
        "Access-Control-Expose-Headers": "Retry-After",
    }
    assert dict(problem_headers(WRONG_METHOD, 1))["Allow"] == "GET"


def test_the_streams_of_a_private_site_are_shared_with_the_requesting_origin_only():
    public = dict(stream_headers("https://a.example", private=False))
    assert public["Access-Control-Allow-Origin"] == "*"
    own = dict(stream_headers("https://a.example", private=True))
    assert own["Access-Control-Allow-Origin"] == "https://a.example"
    assert (own["Access-Control-Allow-Credentials"], own["Vary"]) == ("true", "Origin")
    assert "Access-Control-Allow-Origin" not in dict(stream_headers(None, private=True))


def test_a_response_ends_with_its_connection():
    assert write_head(200, "OK", [("A", "b")]) == (
        b"HTTP/1.1 200 OK\r\nServer: stockwatch\r\nA: b\r\nConnection: close\r\n\r\n"
    )
    assert write_problem(WRONG_METHOD).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert write_problem(WRONG_METHOD).endswith(b"\r\n\r\n" + WRONG_METHOD.encode())
