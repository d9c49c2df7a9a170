import pytest

from feeds.source_names import SIMULATED, SOURCE_NAMES, is_native_symbol


def test_the_simulated_source_is_one_of_the_names_and_all_are_words_in_lower_case():
    assert SIMULATED in SOURCE_NAMES
    assert all(name.isascii() and name.isalpha() and name.islower() and len(name) <= 20 for name in SOURCE_NAMES)


@pytest.mark.parametrize("text", ["BTC-USD", "XXBTZUSD", "btcusdt", "X", "S&P 500", "X" * 40])
def test_printable_ascii_texts_are_native_symbols(text):
    assert is_native_symbol(text)


@pytest.mark.parametrize(
    "text", ["", " ", " X", "X ", "X" * 41, "币安人生USDT", "A\nB", "A\n", "A\x00B", "X" * 10_000_000]
)
def test_other_texts_are_not_native_symbols(text):
    assert not is_native_symbol(text)
