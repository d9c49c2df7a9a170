"""Counts the parts of a multipart body while the body arrives, to refuse a body with too many parts."""

from collections.abc import Sequence

from django.utils.http import parse_header_parameters

# Django's parser takes 40 us per part, so a body with many parts would delay all prices.
MAX_PARTS = 100
"""The most parts that a body may have. Every multipart form of the site has fewer parts."""


class PartCounter:
    """Counts the delimiters between the parts of a body. The count is 0 if the body is not multipart.

    `content_types` are the values of the request's Content-Type headers.
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
        """Counts the delimiters in the next piece of the body. A delimiter may begin in an earlier piece."""
        if not self._delimiter:
            return
        text = self._end + data
        self.count += text.count(self._delimiter)
        # Shorter than the delimiter, so that no delimiter is counted twice.
        self._end = text[len(text) - len(self._delimiter) + 1 :] if len(text) >= len(self._delimiter) else text

    @property
    def is_exceeded(self) -> bool:
        return self.count > MAX_PARTS
