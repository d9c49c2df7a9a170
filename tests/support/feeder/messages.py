"""Messages of exchanges, and others that no exchange sends."""

NO_MESSAGES = ("", b"\xff\xfe", "{", "null", "[]", "[" * 100_000)
"""Texts and bytes that are not a JSON object."""

ALPACA_TRADE = {
    "T": "t",
    "i": 96921,
    "S": "AAPL",
    "x": "D",
    "p": 126.55,
    "s": 1,
    "t": "2026-02-22T15:51:44.208123456Z",
    "c": ["@", "I"],
    "z": "C",
}
