"""Counts the parts of a multipart body while the body arrives.

Django's parser takes 40 us per part. During this time no other code runs. Therefore a body of many parts would delay
all prices.
"""

from collections.abc import Sequence

from django.utils.http import parse_header_parameters

MAX_PARTS = 100
"""The most parts of a body. Every multipart form of the site has fewer parts."""


class PartCounter:
    """Counts the boundaries in a body. Reads the boundary from the headers as Django's parser does.

    `content_types` are the values of the request's Content-Type headers. The count is 0 if the body is not multipart.
    """

    def __init__(self, content_types: Sequence[str]) -> None:
        try:
            kind, parameters = parse_header_parameters(",".join(content_types))
        except (LookupError, ValueError):  # Django cannot parse it either.
            kind, parameters = "", {}
        boundary = parameters.get("boundary", "") if kind.startswith("multipart/") else ""
        self._delimiter = b"--" + boundary.encode(errors="replace") if boundary else b""
        self._end = b""
        self.count = 0

    def add(self, data: bytes) -> None:
        """Counts the boundaries in the next piece of the body. A boundary may begin in an earlier piece."""
        if not self._delimiter:
            return
        text = self._end + data
        self.count += text.count(self._delimiter)
        # Shorter than the delimiter, so that no delimiter is counted twice.
        self._end = text[len(text) - len(self._delimiter) + 1 :] if len(text) >= len(self._delimiter) else text

    @property
    def is_exceeded(self) -> bool:
        return self.count > MAX_PARTS
