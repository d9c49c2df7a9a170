import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.formatting.numbers import DIGITS, MINUS, write_number, write_percent, write_signed
from watchlist.formatting.numerals import ENGLISH, NARROW, SPACE, TABLE, TICK, Numerals, pick_numerals


@pytest.mark.parametrize(
    ("header", "written"),
    [
        ("en-US,en;q=0.9", "1,234,567.50"),
        ("de-DE,de;q=0.9,en;q=0.8", "1.234.567,50"),
        ("de-CH", f"1{TICK}234{TICK}567.50"),
        ("fr", f"1{NARROW}234{NARROW}567,50"),
        ("sv-SE,sv;q=0.9", f"1{SPACE}234{SPACE}567,50"),
        ("en-IN,en;q=0.9", "12,34,567.50"),
        ("hi", "12,34,567.50"),
    ],
)
def test_numbers_are_punctuated_as_the_language_has_it(header: str, written: str):
    assert write_number(1_234_567.5, 2, pick_numerals(header)) == written


@pytest.mark.parametrize(("header", "four", "five"), [("es", "1234,5", "12.345,5"), ("de", "1.234,5", "12.345,5")])
def test_some_languages_group_from_five_digits_on(header: str, four: str, five: str):
    numerals = pick_numerals(header)
    assert [numerals.dress("1234.5"), numerals.dress("12345.5")] == [four, five]


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de;q=0.5, sv;q=0.8, en;q=0.1", "sv"),
        ("xx,de;q=0.2", "de"),
        ("de;q=0,fr;q=0.1", "fr"),
        ("ES-mx", "es-mx"),
        ("sr-Latn-RS", "sr"),
        ("de-Latn-AT-1996", "de"),
        (" de ; q = 0.9 ", "de"),
        ("de;q=high,sv;q=0.1", "sv"),
    ],
)
def test_the_language_that_is_liked_best_and_known_decides(header: str, tag: str):
    assert pick_numerals(header) == TABLE[tag]


@pytest.mark.parametrize("header", ["", "*", "ar", "tlh", ";q=1", "-", ",,,", "de;q=0", "x" * 5000 + ",de"])
def test_where_no_language_is_known_numbers_are_english(header: str):
    assert pick_numerals(header) == ENGLISH


@given(st.text(max_size=300))
def test_any_header_picks_one_of_the_table(header: str):
    assert pick_numerals(header) in TABLE.values()


def test_the_marks_are_no_digits_and_not_the_same():
    for numerals in TABLE.values():
        assert numerals.group != numerals.point
        assert not re.search(r"[\d+%-]", numerals.group + numerals.point + MINUS)


def round_half_up(value: float, decimals: int) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=DIGITS)


@given(
    st.sampled_from(sorted(set(TABLE.values()), key=repr)),
    st.floats(min_value=0, max_value=1e15),
    st.integers(0, 8),
)
def test_what_is_written_reads_back_as_the_same_number(numerals: Numerals, value: float, decimals: int):
    written = write_number(value, decimals, numerals)
    assert Decimal(numerals.undress(written)) == round_half_up(value, decimals)


def test_signs_and_percent_stay_where_they_are():
    german = TABLE["de"]
    assert write_signed(-1234.5, 2, german) == f"{MINUS}1.234,50"
    assert write_percent(1234.5, german) == "+1.234,50%"
    assert write_signed(0.001, 2, german) == "0,00"
