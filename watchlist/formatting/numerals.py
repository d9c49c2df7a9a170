"""Chooses the punctuation of numbers by the header `Accept-Language`. Pure.

Only pages use the punctuation of the reader's language. CSV files, the API and data attributes contain plain numbers,
such as `98234.50`. `static/watchlist/format.js` applies the same rules.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_HEADER_LENGTH = 256
"""The maximum number of characters of `Accept-Language` that are read. Browsers send fewer than 100 characters."""

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
MINUS = "\N{MINUS SIGN}"

PAIR_STARTS = re.compile(r"\B(?=(?:\d{2})*\d{3}$)")
"""Matches the positions in 1234567 at which 12,34,567 has group marks."""


@dataclass(frozen=True, slots=True)
class Numerals:
    """The marks and the grouping of numbers in one language.

    `group` is the mark between groups of digits, `point` the mark before the decimals. The last group before `point`
    has three digits. Each earlier group has `outer_group_size` digits, three or two: India writes 12,34,567. A number
    with fewer than `min_grouped_digits` digits before `point` is not grouped.
    """

    group: str = ","
    point: str = "."
    outer_group_size: int = 3
    min_grouped_digits: int = 4
    minus: str = MINUS

    @property
    def script_values(self) -> dict[str, str]:
        """Returns the data attributes that tell `format.js` these values, as a dict from name to text."""
        return {
            "group": self.group,
            "point": self.point,
            "further": str(self.outer_group_size),
            "least": str(self.min_grouped_digits),
        }

    def punctuate(self, plain: str) -> str:
        """Returns an unsigned plain number, such as `98234.50`, with the marks of these numerals."""
        whole, _, fraction = plain.partition(".")
        if len(whole) >= self.min_grouped_digits:
            is_threes = self.outer_group_size == 3
            whole = f"{int(whole):,}".replace(",", self.group) if is_threes else PAIR_STARTS.sub(self.group, whole)
        return whole + self.point + fraction if fraction else whole

    def strip(self, written: str) -> str:
        """Returns the plain number, such as `98234.50`, for a text that `punctuate` returned."""
        return written.replace(self.group, "").replace(self.point, ".")


ENGLISH = Numerals()
PLAIN = Numerals(group="", minus="-")
"""The numerals of numbers that programs read: no group marks, ASCII signs."""

LANGUAGES: Mapping[Numerals, str] = {
    ENGLISH: "en ja zh ko th he ms es-mx es-us es-419 es-gt es-hn es-ni es-pa es-pe es-pr es-sv es-do",
    Numerals(".", ","): "de nl da id vi tr el ro hr sr pt mk is ca gl es-ar es-co es-cl es-uy es-ec es-py es-bo es-ve",
    Numerals(".", ",", min_grouped_digits=5): "es it sl",
    Numerals(APOSTROPHE, "."): "de-ch de-li rm gsw",
    Numerals(APOSTROPHE, ".", min_grouped_digits=5): "it-ch",
    Numerals(NO_BREAK_SPACE, ","): "sv nb nn no fi cs sk uk ru lt de-at fr-ca en-za be kk",
    Numerals(NO_BREAK_SPACE, ",", min_grouped_digits=5): "pl pt-pt hu bg et lv",
    Numerals(NARROW_SPACE, ","): "fr fr-ch",
    Numerals(",", ".", outer_group_size=2): "en-in hi ta te ml gu",
}
"""A dict from numerals to the tags of their languages, separated by spaces.

The data is from CLDR (Unicode's database of languages). Only languages that use the digits 0 to 9 are listed.
"""

NUMERALS_BY_LANGUAGE: Mapping[str, Numerals] = {
    language: numerals for numerals, languages in LANGUAGES.items() for language in languages.split()
}


def pick_numerals(header: str) -> Numerals:
    """Returns the numerals of the most preferred language in an `Accept-Language` header.

    A language that LANGUAGES does not contain is skipped. If no language is left, the numerals are English.
    """
    return _pick(header[:MAX_HEADER_LENGTH])


@lru_cache(maxsize=512)
def _pick(header: str) -> Numerals:
    ranked = sorted(map(_read_range, header.split(",")), key=lambda language: -language[1])
    for tag, weight in ranked:
        while tag and weight > 0:
            if tag in NUMERALS_BY_LANGUAGE:
                return NUMERALS_BY_LANGUAGE[tag]
            tag = tag.rpartition("-")[0]
    return ENGLISH


def _read_range(text: str) -> tuple[str, float]:
    """Returns the lower-case language tag and the weight from a text such as `de-CH;q=0.8`.

    If the text is invalid, the weight is 0.
    """
    tag, _, rest = text.partition(";")
    weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", rest)
    if rest and weight is None:
        return "", 0.0
    return tag.strip().lower(), float(weight[1]) if weight else 1.0
