"""How numbers are punctuated where a person comes from: a small table, and the choice by `Accept-Language`. Pure.

The page only: CSV files, the API and the attributes for scripts have plain numbers. The page tells
`static/watchlist/format.js` which numerals are in force, and that writes by the same rules.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

LONGEST_HEADER = 256
"""Characters of `Accept-Language` that are read; browsers send a few dozen."""

SPACE = "\N{NO-BREAK SPACE}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
TICK = "\N{RIGHT SINGLE QUOTATION MARK}"

PATTERNS = {3: re.compile(r"\B(?=(?:\d{3})+$)"), 2: re.compile(r"\B(?=(?:\d{2})*\d{3}$)")}
"""Where groups begin, by the digits of those beyond the first."""


@dataclass(frozen=True, slots=True)
class Numerals:
    """`group` and `point` are the marks. From `least` digits on a whole part is grouped: its last three digits, and the
    rest by `further` (India: 12,34,567)."""

    group: str = ","
    point: str = "."
    further: int = 3
    least: int = 4

    def dress(self, plain: str) -> str:
        """`98234.50` as it is written here."""
        whole, _, fraction = plain.partition(".")
        if len(whole) >= self.least:
            whole = PATTERNS[self.further].sub(self.group, whole)
        return whole + self.point + fraction if fraction else whole

    def undress(self, written: str) -> str:
        """The plain number again."""
        return written.replace(self.group, "").replace(self.point, ".")


ENGLISH = Numerals()

GROUPS: Mapping[Numerals, str] = {
    ENGLISH: "en ja zh ko th he ms es-mx es-us es-419 es-gt es-hn es-ni es-pa es-pe es-pr es-sv es-do",
    Numerals(".", ","): "de nl da id vi tr el ro hr sr pt mk is ca gl es-ar es-co es-cl es-uy es-ec es-py es-bo es-ve",
    Numerals(".", ",", least=5): "es it sl",
    Numerals(TICK, "."): "de-ch de-li rm gsw",
    Numerals(TICK, ".", least=5): "it-ch",
    Numerals(SPACE, ","): "sv nb nn no fi cs sk uk ru lt de-at fr-ca en-za be kk",
    Numerals(SPACE, ",", least=5): "pl pt-pt hu bg et lv",
    Numerals(NARROW, ","): "fr fr-ch",
    Numerals(",", ".", further=2): "en-in hi ta te ml gu",
}
"""What CLDR says of languages whose digits are 0 to 9."""

TABLE: Mapping[str, Numerals] = {tag: numerals for numerals, tags in GROUPS.items() for tag in tags.split()}


def pick_numerals(header: str) -> Numerals:
    """Those of the language that a browser likes best, among the known; English ones where it knows none."""
    return _pick(header[:LONGEST_HEADER])


@lru_cache(maxsize=512)
def _pick(header: str) -> Numerals:
    ranked = sorted(map(_read_range, header.split(",")), key=lambda each: -each[1])
    for tag, weight in ranked:
        while tag and weight > 0:
            if tag in TABLE:
                return TABLE[tag]
            tag = tag.rpartition("-")[0]
    return ENGLISH


def _read_range(text: str) -> tuple[str, float]:
    """`de-CH;q=0.8`: the tag in small letters, and its weight; 0 for nonsense."""
    tag, _, rest = text.partition(";")
    weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", rest)
    if rest and weight is None:
        return "", 0.0
    return tag.strip().lower(), float(weight[1]) if weight else 1.0
