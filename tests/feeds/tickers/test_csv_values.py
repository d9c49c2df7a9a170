import pytest

from feeds.tickers.csv_values import read_whole_number, read_yes_or_no


@pytest.mark.parametrize("word", ["1", "yes", " YES ", "on", "WAHR", "ja", "Oui", "sí", "TRUE", "да"])
def test_words_that_mean_yes(word):
    assert read_yes_or_no(word) is True


@pytest.mark.parametrize("word", ["0", "no", "off", "FALSCH", "nein", "non", "False", "нет"])
def test_words_that_mean_no(word):
    assert read_yes_or_no(word) is False


@pytest.mark.parametrize("word", ["", "maybe", "2", "yes!", "y" * 100_000])
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match="neither yes nor no"):
        read_yes_or_no(word)


@pytest.mark.parametrize(("text", "number"), [("2", 2), (" 2.0 ", 2), ("-1", -1)])
def test_whole_numbers(text, number):
    assert read_whole_number(text) == number


@pytest.mark.parametrize("text", ["2.7", "", "x", "NaN", "inf", "1e9", "9" * 100_000, "1e999999"])
def test_other_numbers_are_refused(text):
    with pytest.raises(ValueError, match="is not a whole number"):
        read_whole_number(text)
