"""Which offers of permessage-deflate are accepted."""

import pytest

from watchlist.gateway.deflate.offers import ANSWER, MAX_HEADER_LENGTH, MAX_OFFERS, accepts_offer


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",  # Chromium and Python's websockets
        'permessage-deflate; client_max_window_bits="10"',
        "Permessage-Deflate;Client_Max_Window_Bits=8",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=15",
        " \tpermessage-deflate ;\tclient_no_context_takeover \t",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "x-webkit-deflate-frame, permessage-bzip2; a=1; b, , permessage-deflate",
        ",".join(["other"] * (MAX_OFFERS - 1) + ["permessage-deflate"]),
        ANSWER,
    ],
)
def test_an_offer_that_can_be_kept_is_accepted(header):
    assert accepts_offer(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        " , ,",
        "permessage-bzip2",
        "permessage-deflate2",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; unknown",
        "permessage-deflate=1",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_no_context_takeover; Client_No_Context_Takeover",
    ],
)
def test_an_offer_that_cannot_be_kept_is_declined(header):
    assert not accepts_offer(header)


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate, bad; =1",
        'permessage-deflate, bad; x="a',
        'other; x="a, permessage-deflate, "',  # the comma and the name are parts of a quoted value
        'permessage-deflate; client_max_window_bits="',
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits =10",
        "permessage-deflate;",
        "permessage-deflate;; client_no_context_takeover",
        "permessage deflate",
        "permessage-deflate\n",
        "\xff, permessage-deflate",
        "permessage-deflate; client_no_context_ta\N{KELVIN SIGN}eover",
        "permessage-deflate".ljust(MAX_HEADER_LENGTH + 1),
        ",".join(["permessage-deflate"] * (MAX_OFFERS + 1)),
    ],
)
def test_a_header_that_is_malformed_or_too_long_declines_all_of_its_offers(header):
    assert not accepts_offer(header)
