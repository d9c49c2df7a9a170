import re
from decimal import ROUND_HALF_UP, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.formatting.numbers import write_number, write_percent, write_signed
from watchlist.formatting.numerals import (
    APOSTROPHE,
    ENGLISH,
    MINUS,
    NARROW_SPACE,
    NO_BREAK_SPACE,
    NUMERALS_BY_LANGUAGE,
    Numerals,
    pick_numerals,
)


@pytest.mark.parametrize(
    ("header", "written"),
    [
        ("en-US,en;q=0.9", "1,234,567.50"),
        ("de-DE,de;q=0.9,en;q=0.8", "1.234.567,50"),
        ("de-CH", f"1{APOSTROPHE}234{APOSTROPHE}567.50"),
        ("fr", f"1{NARROW_SPACE}234{NARROW_SPACE}567,50"),
        ("sv-SE,sv;q=0.9", f"1{NO_BREAK_SPACE}234{NO_BREAK_SPACE}567,50"),
        ("en-IN,en;q=0.9", "12,34,567.50"),
        ("hi", "12,34,567.50"),
    ],
)
def test_numbers_are_punctuated_for_the_language(header: str, written: str):
    assert write_number(1_234_567.5, 2, pick_numerals(header)) == written


@pytest.mark.parametrize(("header", "four", "five"), [("es", "1234,5", "12.345,5"), ("de", "1.234,5", "12.345,5")])
def test_some_languages_group_numbers_from_five_digits(header: str, four: str, five: str):
    numerals = pick_numerals(header)
    assert [numerals.punctuate("1234.5"), numerals.punctuate("12345.5")] == [four, five]


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
def test_the_most_preferred_known_language_decides(header: str, tag: str):
    assert pick_numerals(header) == NUMERALS_BY_LANGUAGE[tag]


@pytest.mark.parametrize("header", ["", "*", "ar", "tlh", ";q=1", "-", ",,,", "de;q=0", "x" * 5000 + ",de"])
def test_numbers_are_english_without_a_known_language(header: str):
    assert pick_numerals(header) == ENGLISH


@given(st.text(max_size=300))
def test_any_header_gives_known_numerals(header: str):
    assert pick_numerals(header) in NUMERALS_BY_LANGUAGE.values()


def test_marks_are_distinct_and_contain_no_digits_or_signs():
    for numerals in NUMERALS_BY_LANGUAGE.values():
        assert numerals.group != numerals.point
        assert not re.search(r"[\d+%-]", numerals.group + numerals.point + MINUS)


def round_half_up(value: float, decimals: int) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=Context(prec=400, rounding=ROUND_HALF_UP))


@given(
    st.sampled_from(sorted(set(NUMERALS_BY_LANGUAGE.values()), key=repr)),
    st.floats(min_value=0, max_value=1e15),
    st.integers(0, 8),
)
def test_a_written_number_reads_back_as_the_same_number(numerals: Numerals, value: float, decimals: int):
    written = write_number(value, decimals, numerals)
    assert Decimal(numerals.strip(written)) == round_half_up(value, decimals)


def test_signs_and_percent_marks_are_the_same_in_all_languages():
    german = NUMERALS_BY_LANGUAGE["de"]
    assert write_signed(-1234.5, 2, german) == f"{MINUS}1.234,50"
    assert write_percent(1234.5, german) == "+1.234,50%"
    assert write_signed(0.001, 2, german) == "0,00"


def test_scripts_get_the_values_as_text():
    assert NUMERALS_BY_LANGUAGE["hi"].script_values == {"group": ",", "point": ".", "further": "2", "least": "4"}
