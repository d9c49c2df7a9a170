import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlist.lists.folding import MAX_LENGTH, fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("NESTLÉ", "nestle"),
        ("Ørsted", "orsted"),
        ("Société Générale", "societe generale"),
        ("Mæersk", "maeersk"),
        ("GRÖẞE", "grosse"),
        ("日本", "日本"),
    ],
)
def test_case_and_accents_are_folded(text, folded):
    assert fold(text) == folded


@given(st.text(max_size=20))
def test_case_makes_no_difference(text):
    assert fold(text) == fold(text.casefold())


def test_a_long_text_is_cut_before_it_is_folded():
    assert fold("a" + "\u0301" * 100_000) == "a"
    assert len(fold("x" * 500)) == MAX_LENGTH
