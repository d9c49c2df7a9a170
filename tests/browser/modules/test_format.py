"""The module that formats numbers and ages; tests/cases/numbers.json has more numbers."""

import random

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module
from watchlist.formatting.numbers import write_number, write_percent, write_signed
from watchlist.formatting.numerals import NUMERALS_BY_LANGUAGE

pytestmark = pytest.mark.browser


def test_random_numbers_are_formatted_as_on_the_server(page: Page):
    rng = random.Random(3)
    values = [rng.uniform(-1, 1) * 10 ** rng.randint(-6, 25) for _ in range(2000)]
    pairs = [[value, rng.randint(0, 8)] for value in values]
    body = """
    const { formatNumber, formatSigned } = module;
    return given.map(([value, decimals]) => [formatNumber(value, decimals), formatSigned(value, decimals)]);
    """
    texts = run_module(page, "format", body, pairs)
    assert texts == [[write_number(value, decimals), write_signed(value, decimals)] for value, decimals in pairs]


@pytest.mark.parametrize("language", ["de", "fr", "sv", "pl", "es", "en-in"])
def test_marks_of_numbers_are_those_of_the_server_and_of_the_browser(page: Page, language: str):
    numerals = NUMERALS_BY_LANGUAGE[language]
    rng = random.Random(6)
    pairs = [[round(rng.uniform(-1, 1) * 10**digits, 3), 3] for digits in range(1, 13) for _ in range(20)]
    body = """
    const { setNumerals, formatNumber, formatSigned } = module;
    const [attributes, language, pairs] = given;
    setNumerals(attributes);
    const format = ([value, decimals]) => [formatNumber(Math.abs(value), decimals), formatSigned(value, decimals)];
    const formatByBrowser = ([value, decimals]) => {
      const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
      return Math.abs(value).toLocaleString(language, digits);
    };
    return [pairs.map(format), pairs.map(formatByBrowser)];
    """
    attributes = numerals.script_values
    texts, browser_texts = run_module(page, "format", body, [attributes, language, pairs])
    assert texts == [
        [write_number(abs(value), decimals, numerals), write_signed(value, decimals, numerals)]
        for value, decimals in pairs
    ]
    assert [number for number, _ in texts] == browser_texts


def test_a_value_that_is_not_finite_is_a_dash_as_on_the_server(page: Page):
    texts = run_module(page, "format", "return [module.formatSigned(Infinity, 2), module.formatPercent(NaN)];")
    assert texts == [write_signed(float("inf"), 2), write_percent(float("nan"))]


def test_ages_have_one_unit(page: Page):
    ages = [-500, 0, 999, 1000, 24_900, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000]
    assert run_module(page, "format", "return given.map(module.formatAge);", ages) == [
        "–",
        "< 1 s",
        "< 1 s",
        "1 s",
        "24 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h",
        "2 d",
    ]
