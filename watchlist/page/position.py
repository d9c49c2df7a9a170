"""Reads and writes page positions in addresses and forms.

A position says which list is shown, and how the rows are sorted.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from watchlist.lists.rules import UNSAVED
from watchlist.page.sorting import OWN_ORDER, Sort, read_sort

MAX_KEY_DIGITS = 18


@dataclass(frozen=True, slots=True)
class PagePosition:
    """The list that a page shows, and how the rows are sorted.

    `key` is the key of the list, or None for the first list.
    """

    key: int | None = None
    sort: Sort = OWN_ORDER

    @property
    def query(self) -> str:
        parameters = {"list": self.key, "sort": str(self.sort)}
        return urlencode({name: value for name, value in parameters.items() if value})

    @property
    def hidden_fields(self) -> SafeString:
        """Returns the hidden fields `list` and `sort` of a form, which `read_position` reads."""
        key = self.key or ""
        list_field = f'<input type="hidden" name="list" value="{key}">'
        return mark_safe(f'{list_field}<input type="hidden" name="sort" value="{self.sort}">\n')  # noqa: S308 - a number and the key of a column

    @property
    def address(self) -> str:
        return reverse("watchlist") + (f"?{self.query}" if self.query else "")


def read_position(parameters: QueryDict) -> PagePosition:
    """Reads a position from the fields `list` and `sort` of a query or form.

    An invalid `list` means the first list. An invalid `sort` means the person's own order.
    """
    text = parameters.get("list", "")
    is_key = text.isascii() and text.isdigit() and len(text) <= MAX_KEY_DIGITS
    key = int(text) if is_key else None
    # A page sends UNSAVED if its list was not stored. UNSAVED means the first list, which may be stored by now.
    return PagePosition(None if key == UNSAVED else key, read_sort(parameters.get("sort", "")))
