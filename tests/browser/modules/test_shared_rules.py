"""Rules that Python and JavaScript share, tested with the tables in tests/cases/."""

import pytest
from playwright.sync_api import Page

from tests.support.browser.modules import run_module
from tests.support.cases import read_cases
from watchlist.page.rows import REFERENCE_NAMES

pytestmark = pytest.mark.browser


def test_newer_is_decided_by_timestamp_and_then_by_seq_id(page: Page):
    cases = read_cases("newer_than")
    body = """
    const toQuote = (order) => (order ? { timestamp: order[0], seq_id: order[1] } : {});
    return given.map(({ update, than }) => module.isNewer(toQuote(update), toQuote(than)));
    """
    newer = run_module(page, "quotes", body, cases)
    assert [case | {"newer": result} for case, result in zip(cases, newer, strict=True)] == cases


def test_a_change_is_relative_to_the_previous_close_or_the_base_price(page: Page):
    cases = read_cases("change")
    body = """
    return given.map(({ price, base, previous_close }) => {
      const quote = { price, base, previousClose: previous_close };
      return { reference: module.referencePrice(quote), ...module.changeOf(quote) };
    });
    """
    changes = run_module(page, "quotes", body, cases)
    assert [case | change for case, change in zip(cases, changes, strict=True)] == cases


def test_numbers_have_fixed_decimals_and_group_marks(page: Page):
    cases = read_cases("numbers")
    body = """
    return given.map(({ value, decimals }) => ({
      plain: module.formatNumber(value, decimals),
      signed: module.formatSigned(value, decimals),
    }));
    """
    texts = run_module(page, "format", body, cases)
    assert [case | text for case, text in zip(cases, texts, strict=True)] == cases


def test_volumes_are_short(page: Page):
    cases = read_cases("volumes")
    body = "return given.map(({ units }) => ({ text: module.formatVolume(units * 1e-8) }));"
    texts = run_module(page, "columns", body, cases)
    assert [case | text for case, text in zip(cases, texts, strict=True)] == cases


def test_a_sparkline_is_a_path_through_all_values(page: Page):
    cases = read_cases("sparkline")
    paths = run_module(page, "sparkline", "return given.map(({ values }) => module.sparklinePath(values));", cases)
    assert [case | {"path": path} for case, path in zip(cases, paths, strict=True)] == cases


def test_the_name_of_the_reference_price_says_which_closes_are_known(page: Page):
    cases = read_cases("reference_name")
    body = """
    const toCloses = (values) => values.map((value) => value ?? undefined);
    return given.cases.map(({ closes }) => module.referenceName(toCloses(closes), given.names));
    """
    names = run_module(page, "quotes", body, {"cases": cases, "names": REFERENCE_NAMES})
    assert [case | {"name": name} for case, name in zip(cases, names, strict=True)] == cases
