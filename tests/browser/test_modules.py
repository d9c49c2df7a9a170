"""The modules that know no DOM, run in the browser that will run them."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page

from feeds.models import Ticker
from feeds.wire import Update
from watchlist.formatting.numbers import write_number, write_percent, write_signed
from watchlist.formatting.numerals import NUMERALS_BY_LANGUAGE
from watchlist.page.columns import SORTABLE_COLUMNS
from watchlist.page.rows import make_row
from watchlist.page.sorting import headings, read_sort
from watchlist.page.sparkline import write_path
from watchlist.prices.day import Day

pytestmark = pytest.mark.browser


def run(page: Page, module: str, script: str, argument=None):
    """Runs the body of a function in the page, where `module` is the imported one and `given` the argument."""
    source = f"async (given) => {{ const module = await import('/static/watchlist/{module}.js'); {script} }}"
    return page.evaluate(source, argument)


def test_numbers_are_written_as_the_server_writes_them(page: Page):
    chance = random.Random(3)
    values = [0.0, 0.125, -0.125, 0.005, 1.005, 999.995, 1e-9, 1234567.891, 98234.5, 2.675, -0.001]
    values += [chance.uniform(-1, 1) * 10 ** chance.randint(-6, 9) for _ in range(2000)]
    pairs = [[value, chance.randint(0, 8)] for value in values]
    script = """
    const { writeNumber, writeSigned } = module;
    return given.map(([value, decimals]) => [writeNumber(Math.abs(value), decimals), writeSigned(value, decimals)]);
    """
    written = run(page, "format", script, pairs)
    assert written == [[write_number(abs(value), decimals), write_signed(value, decimals)] for value, decimals in pairs]


@pytest.mark.parametrize("tag", ["de", "fr", "sv", "pl", "es", "en-in"])
def test_numbers_are_punctuated_as_the_server_does_and_the_browser_itself_would(page: Page, tag: str):
    numerals = NUMERALS_BY_LANGUAGE[tag]
    chance = random.Random(6)
    pairs = [[round(chance.uniform(-1, 1) * 10**digits, 3), 3] for digits in range(1, 13) for _ in range(20)]
    script = """
    const { useNumerals, writeNumber, writeSigned } = module;
    const [facts, tag, pairs] = given;
    useNumerals(facts);
    const both = ([value, decimals]) => [writeNumber(Math.abs(value), decimals), writeSigned(value, decimals)];
    const written = pairs.map(both);
    const own = pairs.map(([value, decimals]) => {
      const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
      return Math.abs(value).toLocaleString(tag, digits);
    });
    return [written, own];
    """
    # As the page has them: attributes are text.
    facts = numerals.script_values
    written, own = run(page, "format", script, [facts, tag, pairs])
    assert written == [
        [write_number(abs(value), decimals, numerals), write_signed(value, decimals, numerals)]
        for value, decimals in pairs
    ]
    assert [number for number, _ in written] == own


def test_what_is_no_number_is_a_dash_in_both(page: Page):
    assert run(page, "format", "return module.writeSigned(Infinity, 2);") == write_percent(float("inf"))


def test_ages_are_told_in_the_largest_unit_that_says_enough(page: Page):
    ages = [-500, 0, 999, 1000, 24_900, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000]
    assert run(page, "format", "return given.map(module.writeAge);", ages) == [
        "< 1 s",
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


def test_newer_is_the_greater_pair_of_timestamp_and_number(page: Page):
    pairs = [[1, 1], [1, 2], [2, 1], [2, 2]]
    script = """
    const at = ([timestamp, seq_id]) => ({ timestamp, seq_id });
    return given.map((one) => given.map((other) => module.isNewer(at(one), at(other))));
    """
    assert run(page, "quotes", script, pairs) == [[one > other for other in pairs] for one in pairs]


def test_only_newer_and_sound_updates_of_watched_symbols_are_taken(page: Page):
    script = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 10, decimals: 2, active: true });
    const update = { symbol: "A", price: 1, timestamp: 5, seq_id: 5 };
    return [update, update, { ...update, seq_id: 4 }, { ...update, seq_id: 6 }, { ...update, timestamp: 4, seq_id: 9 },
        { ...update, timestamp: 6, seq_id: 1 }, { ...update, timestamp: 9, price: "1" }, { ...update, symbol: "B" }, {},
    ].map((each) => quotes.take(each));
    """
    assert run(page, "quotes", script) == [True, False, False, True, False, True, False, False, False]


def test_a_new_base_price_moves_the_change_and_keeps_the_price(page: Page):
    script = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 100, decimals: 2, active: true, update: { price: 150, timestamp: 1, seq_id: 1 } });
    quotes.retick({ symbol: "A", name: "A", base: 75, decimals: 2, active: true });
    return [quotes.get("A").price, module.changeOf(quotes.get("A"))];
    """
    assert run(page, "quotes", script) == [150, {"change": 75, "percent": 100}]


def test_the_clock_follows_the_server_and_not_the_browser(page: Page):
    script = """
    const clock = new module.Clock(1000, 10);
    const before = clock.now(15);
    clock.set(5000, 20);
    return [before, clock.now(21)];
    """
    assert run(page, "quotes", script) == [1005, 5001]


def test_the_pause_before_a_retry_doubles_up_to_a_cap_half_of_it_by_chance(page: Page):
    script = "return [0, 1, 2, 3, 4, 5, 50].map((attempt) => [module.backoff(attempt, 0), module.backoff(attempt, 1)]);"
    assert run(page, "socket", script) == [
        [250, 500],
        [500, 1000],
        [1000, 2000],
        [2000, 4000],
        [2500, 5000],
        [2500, 5000],
        [2500, 5000],
    ]


def test_the_longer_the_list_the_fewer_updates_a_second_are_asked_for(page: Page):
    counts = [1, 42, 43, 50, 56, 57, 200]
    assert run(page, "socket", "return given.map(module.paceOf);", counts) == [4, 4, 3, 3, 3, 2, 2]


def test_close_codes_from_4500_to_4999_mean_do_not_come_back(page: Page):
    codes = [1000, 1001, 1006, 1013, 4001, 4012, 4499, 4500, 4501, 4999]
    assert run(page, "socket", "return given.map(module.comesBack);", codes) == [True] * 7 + [False] * 3


def test_a_refused_client_stays_away(page: Page):
    script = """
    const states = [];
    const made = [];
    window.WebSocket = class { constructor() { made.push(this); } close() {} send() {} };
    const socket = new module.PriceSocket("ws://x", { onState: (state) => states.push(state) });
    socket.want(["A"]);
    made[0].onclose({ code: 4501 });
    socket.check();
    return [states, made.length];
    """
    assert run(page, "socket", script) == [
        [{"name": "connecting", "again": False}, {"name": "refused", "code": 4501}],
        1,
    ]


def test_a_sleeping_client_that_is_lost_comes_back_when_it_wakes(page: Page):
    script = """
    const states = [];
    const made = [];
    const due = [];
    window.setTimeout = (act) => due.push(act);
    window.clearTimeout = (number) => (due[number - 1] = () => {});
    window.WebSocket = class { static OPEN = 1; constructor() { made.push(this); } close() {} send() {} };
    const socket = new module.PriceSocket("ws://x", { onState: (state) => states.push(state.name) });
    socket.want(["A"]);
    made[0].onclose({ code: 1006 });
    socket.sleep();
    socket.check();
    for (const act of [...due]) act();
    const asleep = made.length;
    socket.wake();
    made[1].onclose({ code: 1006 });
    socket.sleep();
    made[1].onclose?.({ code: 1006 });
    return [asleep, made.length, states];
    """
    assert run(page, "socket", script) == [1, 2, ["connecting", "waiting", "connecting", "waiting"]]


def test_polling_that_stopped_and_starts_again_has_one_question_under_way(page: Page):
    script = """
    const due = [];
    const asked = [];
    window.setTimeout = (act) => due.push(act);
    window.clearTimeout = () => {};
    window.fetch = () => new Promise((answer) => asked.push(() => answer({ ok: true, json: () => ({ quotes: [] }) })));
    const poller = new module.Poller({ onUpdate() {}, onWork() {} });
    poller.start(["A"]);
    poller.stop();
    poller.start(["A"]);
    for (const answer of asked) answer();
    for (let turn = 0; turn < 20; turn++) await null;
    return [asked.length, due.length];
    """
    assert run(page, "poll", script) == [2, 1]


def test_why_no_socket_is_let_in_is_forgotten_once_one_is(page: Page):
    script = """
    const pill = document.createElement("p");
    pill.innerHTML = "<span></span><small></small>";
    const announcer = document.createElement("p");
    announcer.innerHTML = "<span></span><span></span>";
    const status = new module.Status(pill, announcer);
    const words = [];
    const paint = () => { status.paint(100, 4000, 0); words.push(pill.textContent); };
    status.set({ name: "waiting", until: 500 });
    status.setReason("too many people at once");
    paint();
    status.set({ name: "live" });
    paint();
    status.setReason("too many people at once");
    paint();
    return words;
    """
    assert run(page, "status", script) == ["Offlinetoo many people at once", "Live< 1 s", "Live< 1 s"]


def test_a_sparkline_is_drawn_as_the_server_draws_it(page: Page):
    chance = random.Random(4)
    lines = [[chance.uniform(0.5, 2) * 10 ** chance.randint(-4, 6) for _ in range(many)] for many in range(2, 61)]
    lines.append([5.0, 5.0])
    assert run(page, "spark", "return given.map(module.writePath);", lines) == [write_path(line) for line in lines]


def test_headers_lead_where_the_servers_do(page: Page):
    sorts = ["", *SORTABLE_COLUMNS, *(f"-{column}" for column in SORTABLE_COLUMNS)]
    pairs = [[column, sort] for column in SORTABLE_COLUMNS for sort in sorts]
    led = run(page, "sort", "return given.map(([column, sort]) => module.nextSort(column, sort));", pairs)
    assert led == [headings(read_sort(sort))[column].leads_to for column, sort in pairs]


def test_rows_are_arranged_as_the_server_arranges_them(page: Page):
    chance = random.Random(5)
    rows = []
    for number in range(40):
        ticker = Ticker(symbol=f"S{chance.randint(0, 99)}", base_price=chance.choice([50.0, 100.0]))
        update = Update(ticker.symbol, chance.randint(1, 9) * 20.0, 10**15 + chance.randint(0, 5), number)
        day = Day(chance.choice([None, 1.0, 2.0]), 500.0, 1.0, chance.choice([None, 80.0]))
        row = make_row(ticker, chance.choice([None, update, update]), datetime.now(UTC), timedelta(1), day)
        rows.append(row)
    quotes = [quote_of(row) for row in rows]
    script = """
    const [quotes, sorts] = given;
    const items = quotes.map((quote, place) => ({ quote, place }));
    return sorts.map((sort) => module.arrange([...items], sort, (item) => item.quote).map((item) => item.place));
    """
    sorts = [*SORTABLE_COLUMNS, *(f"-{column}" for column in SORTABLE_COLUMNS)]
    arranged = run(page, "sort", script, [quotes, sorts])
    for sort, places in zip(sorts, arranged, strict=True):
        assert [rows[place] for place in places] == read_sort(sort).arrange(rows), sort


def quote_of(row) -> dict:
    """A row as the page's script holds it: what is not known is not there."""
    day = {"close": row.day.previous_close, "open": row.day.open, "high": row.day.high, "low": row.day.low}
    quote = {"symbol": row.ticker.symbol, "base": row.ticker.base_price} | day
    if row.update:
        quote |= {"price": row.update.price, "timestamp": row.update.timestamp}
    return {name: value for name, value in quote.items() if value is not None}


def test_a_live_price_moves_the_last_bar_or_begins_the_next(page: Page):
    script = """
    const bars = [{ time: 60, open: 5, high: 6, low: 4, close: 5 }];
    const old = module.extend(bars, 60, 9, 59);
    module.extend(bars, 60, 7, 119.9);
    module.extend(bars, 60, 3, 120);
    return [old === undefined, bars];
    """
    assert run(page, "chart", script) == [
        True,
        [
            {"time": 60, "open": 5, "high": 7, "low": 4, "close": 7},
            {"time": 120, "open": 7, "high": 7, "low": 3, "close": 3},
        ],
    ]


def test_a_new_day_begins_when_the_previous_close_changes(page: Page):
    script = """
    const quotes = new module.Quotes();
    quotes.watch("A", { base: 10, decimals: 2, close: 9, open: 10, high: 12, low: 8 });
    quotes.take({ symbol: "A", price: 13, timestamp: 1, seq_id: 1 });
    const before = { ...quotes.get("A") };
    quotes.retick({ symbol: "A", base: 10, decimals: 2, previous_close: 13 });
    const { open, high, low, close } = quotes.get("A");
    return [before.high, module.referenceOf(before), [open, high, low, close]];
    """
    assert run(page, "quotes", script) == [13, 9, [13, 13, 13, 13]]


TABLE_OF_ONE = """
window.IntersectionObserver = class { observe() {} unobserve() {} };
document.body.innerHTML = `<table><tr data-symbol="A" data-base="100" data-decimals="2">
    <th><span class="name"></span></th><td class="last"></td>
    <td class="change"><span class="arrow"></span><span class="value"></span></td>
    <td class="percent"></td><td class="age"><time></time></td></tr></table>`;
const { Quotes } = await import("/static/watchlist/quotes.js");
const row = document.querySelector("tr");
const quotes = new Quotes();
quotes.watch("A", module.readRow(row));
const time = { now: 0 };
const table = new module.Table(quotes, { now: () => time.now }, 5000);
table.sync([row]);
const send = (price) => {
  quotes.take({ symbol: "A", price, timestamp: price * 1000, seq_id: 1 });
  table.mark("A");
};
window.stage = { time, table, send };
"""


@pytest.fixture
def bare_page(open_page: Callable[..., Page]) -> Page:
    """One that runs no script of its own, and whose time passes as it is told."""
    page = open_page("/livez")
    page.clock.install(time=0)
    page.goto("/sign-in/")
    page.clock.pause_at(60_000)
    return page


def test_a_row_is_painted_at_most_four_times_a_second_and_ends_with_the_last(bare_page: Page):
    run(bare_page, "table", TABLE_OF_ONE)
    shown = []
    for price in range(1, 201):
        bare_page.evaluate("price => stage.send(price)", price)
        bare_page.clock.run_for(10)
        shown.append(bare_page.locator(".last").text_content())
    assert 4 <= len(set(shown) - {""}) <= 9, shown
    bare_page.clock.run_for(500)
    assert bare_page.locator(".last").text_content() == "200.00"
