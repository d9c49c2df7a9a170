import subprocess
import sys
from datetime import UTC, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwatch.environment import BadVariable, Environment, is_strong_key

ROOT = Path(__file__).resolve().parents[2]


def make(**variables: str) -> Environment:
    return Environment(variables)


def test_text_is_trimmed_and_has_a_default():
    assert make(NAME="  value ").text("NAME") == "value"
    assert make().text("NAME", "default") == "default"


def test_an_empty_variable_is_a_value_and_not_the_default():
    assert make(NAME="").text("NAME", "default") == ""


def test_choices_are_read_in_any_case():
    assert make(FORM="JSON").choice("FORM", "console", ["json", "console"]) == "json"


def test_an_unknown_choice_is_refused():
    with pytest.raises(BadVariable, match="FORM='xml' cannot be used: it must be one of json, console"):
        make(FORM="xml").choice("FORM", "json", ["json", "console"])


def test_a_text_must_match_its_pattern_as_a_whole():
    assert make(NAME="abc").matching_text("NAME", "", "[a-z]+", "letters") == "abc"
    with pytest.raises(BadVariable, match="NAME='abc1' cannot be used: it must be letters"):
        make(NAME="abc1").matching_text("NAME", "", "[a-z]+", "letters")


def test_a_boolean_with_another_spelling_is_refused():
    with pytest.raises(BadVariable, match="DEBUG='maybe' cannot be used: it must be true or false"):
        make(DEBUG="maybe").boolean("DEBUG")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("", False)])
def test_a_boolean_has_several_spellings(text: str, value: bool):
    assert make(DEBUG=text).boolean("DEBUG", default=not value) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("1m30s", timedelta(seconds=90)),
        ("168h", timedelta(days=7)),
    ],
)
def test_durations_have_go_s_syntax(text: str, value: timedelta):
    assert make(WAIT=text).duration("WAIT", "1s") == value


@pytest.mark.parametrize("text", ["10", "1d", "-1s", "10 s", "s", "0", "1s2", "99999999999999999h"])
def test_other_durations_are_refused(text: str):
    with pytest.raises(BadVariable, match=r"WAIT=.*must be a duration such as"):
        make(WAIT=text).duration("WAIT", "1s")


def test_a_duration_below_its_minimum_is_refused():
    with pytest.raises(BadVariable, match="at least 1m"):
        make(WAIT="59s").duration("WAIT", "1h", minimum="1m")


@pytest.mark.parametrize("text", ["301s", "6m", "100h"])
def test_a_duration_above_its_maximum_is_refused(text: str):
    with pytest.raises(BadVariable, match="at least 1s and at most 5m"):
        make(WAIT=text).duration("WAIT", "6s", minimum="1s", maximum="5m")


def test_zero_is_a_duration_if_the_minimum_allows_it():
    assert make(WAIT="0").duration("WAIT", "1s", minimum="0s") == timedelta(0)


@pytest.mark.parametrize("text", ["-1", "1.0", "1e3", "", "١", "99999999999", "11"])
def test_an_integer_outside_its_range_or_syntax_is_refused(text: str):
    with pytest.raises(BadVariable, match="from 1 to 10"):
        make(COUNT=text).integer("COUNT", 1, minimum=1, maximum=10)


@pytest.mark.parametrize("text", ["nan", "inf", "1e5", "-1", "", "101"])
def test_a_number_outside_its_range_or_syntax_is_refused(text: str):
    with pytest.raises(BadVariable, match=r"from 0\.5 to 100"):
        make(RATE=text).number("RATE", 1.0, minimum=0.5, maximum=100.0)


@given(st.integers(min_value=0, max_value=2**31))
def test_every_integer_in_range_is_accepted(number: int):
    assert make(COUNT=str(number)).integer("COUNT", 0) == number


def test_texts_are_trimmed_and_empty_ones_are_omitted():
    assert make(LIST=" a, ,b,").texts("LIST") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "address"),
    [(":8081", ("", 8081)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:443", ("::1", 443)), ("::1:443", ("::1", 443))],
)
def test_an_address_is_a_port_with_or_without_a_host(text: str, address: tuple[str, int]):
    assert make(ADDRESS=text).address("ADDRESS", ":1") == address


@pytest.mark.parametrize(
    "text",
    [
        *("8081", "", ":", ":0", ":65536", "host:", "host:http", "redis://host:6379", "redis://:pw@host:6379"),
        *("user:pw@host:6379", "user@host:6379", "a:6379,b:6379", "a b:6379", "host :6379", "[host]:6379", "[::1:6379"),
        *("http://localhost:8081", "a/b:6379", "x" * 256 + ":6379"),
    ],
)
def test_an_invalid_address_is_refused(text: str):
    with pytest.raises(BadVariable, match="ADDRESS"):
        make(ADDRESS=text).address("ADDRESS", ":1")


@pytest.mark.parametrize(
    "text", ["", "a", "a:1,b", "a:1;b:2", "http://a:1", "a b:1", "a:0", "a:65536", "a:99999", "a:١", "u@a:1", "::1:1"]
)
def test_an_invalid_list_of_addresses_is_refused(text: str):
    with pytest.raises(BadVariable, match="BROKERS"):
        make(BROKERS=text).addresses("BROKERS", "localhost:9092")


def test_addresses_are_separated_by_commas():
    assert make(BROKERS="a:1, [::1]:2").addresses("BROKERS", "x:1") == ["a:1", "[::1]:2"]


def test_nodes_have_a_host_without_brackets_and_a_port():
    assert make(NODES="a:1, [::1]:2").nodes("NODES", "x:1") == (("a", 1), ("::1", 2))
    assert make().nodes("NODES", "x:1") == (("x", 1),)


@pytest.mark.parametrize(
    "text",
    [
        *("example.org", "https://", "https://example.org/page", "ftp://example.org", "https://example.org?a=b"),
        *("http://[", "http://[::1", "https://:443", "https://example.org:port", "https://example.org:99999"),
        *("https://example.org:0", "https://demo@example.org", "*.example.org", "https://a.example.org,**"),
        *(
            "https://*.example.org",
            "https://a..b",
            "https://a b",
            "https://example.org?",
            "https://[::1%25eth0",
            "https://a.b.",
        ),
    ],
)
def test_an_invalid_origin_is_refused(text: str):
    with pytest.raises(BadVariable, match="ORIGINS"):
        make(ORIGINS=text).origins("ORIGINS", "*")


def test_origins_are_returned_unchanged():
    values = ["https://example.org", "http://[::1]:8081", "http://localhost:8081"]
    assert make(ORIGINS=", ".join(values)).origins("ORIGINS", "*") == values
    assert make().origins("ORIGINS", "*") == ["*"]


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("HTTPS://Example.ORG", "https://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[0:0:0:0:0:0:0:1]:8081", "http://[::1]:8081"),
        ("https://[2001:DB8::0001]", "https://[2001:db8::1]"),
    ],
)
def test_an_origin_is_returned_as_browsers_write_it(text: str, origin: str):
    assert make(ORIGINS=text).origins("ORIGINS", "*") == [origin]
    assert make(ORIGINS=text).origins("ORIGINS", "", wildcard=False) == [origin]


def test_a_trusted_origin_may_name_all_subdomains():
    assert make(ORIGINS="https://*.Example.org").origins("ORIGINS", "", wildcard=False) == ["https://*.example.org"]


def test_a_wildcard_origin_is_refused_if_it_is_not_allowed():
    with pytest.raises(BadVariable, match="it must be origins such as"):
        make(ORIGINS="*").origins("ORIGINS", "", wildcard=False)


def test_symbols_are_read_in_any_case():
    assert make(SYMBOLS="aapl, ^GSPC,btc/usd,").symbols("SYMBOLS") == ["AAPL", "^GSPC", "BTC/USD"]


@pytest.mark.parametrize("text", ["a b", "AAPL;GOOG", "-X", "ABCDEFGHIJKLMNOP", "AAPL,Ü"])
def test_an_invalid_symbol_is_refused(text: str):
    with pytest.raises(BadVariable, match="symbols between commas, each 1 to 15 of the characters"):
        make(SYMBOLS=text).symbols("SYMBOLS")


def test_the_list_of_origins_can_be_empty():
    assert make(ORIGINS="").origins("ORIGINS", "*") == []


def test_a_network_can_be_a_single_address():
    assert make(PROXIES="10.0.0.0/8, ::1").networks("PROXIES") == ["10.0.0.0/8", "::1"]
    with pytest.raises(BadVariable, match="PROXIES"):
        make(PROXIES="10.0.0").networks("PROXIES")


def test_a_time_of_day_has_hours_and_minutes():
    assert make(X="09:30").time_of_day("X", "00:00") == time(9, 30)


@pytest.mark.parametrize("text", ["", "9:30", "24:00", "09:60", "09:30:00", "noon"])
def test_an_invalid_time_of_day_is_refused(text: str):
    with pytest.raises(BadVariable, match="a time of day from 00:00 to 23:59"):
        make(X=text).time_of_day("X", "00:00")


def test_a_time_zone_is_found_by_its_name():
    assert make().time_zone("X", "UTC") is UTC
    assert make(X="America/New_York").time_zone("X", "UTC") == ZoneInfo("America/New_York")


@pytest.mark.parametrize("text", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "America"])
def test_an_unknown_time_zone_is_refused(text: str):
    with pytest.raises(BadVariable, match="a time zone that this machine knows"):
        make(X=text).time_zone("X", "UTC")


def test_variables_with_a_prefix_are_returned_by_the_rest_of_their_names():
    assert make(PRICE_A="1 ", PRICE_B="2", OTHER="3").with_prefix("PRICE_") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(("text", "price"), [("150", 150.0), ("0.01", 0.01), ("1e3", 1000.0)])
def test_a_price_is_read_by_the_rest_of_its_name_in_upper_case(text: str, price: float):
    assert make(PRICE_aapl=text).prices("PRICE_") == {"AAPL": price}


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf", "1_000", "1,5", "9" * 400])
def test_a_price_of_another_syntax_or_size_is_refused(text: str):
    with pytest.raises(BadVariable, match=r"PRICE_AAPL=.*a price above zero, such as 150\.25"):
        make(PRICE_AAPL=text).prices("PRICE_")


@pytest.mark.parametrize("text", ["", "  "])
def test_a_blank_variable_is_not_set(text: str):
    assert not make(A=text).is_set("A")
    assert not make().is_set("A")
    assert make(A="1").is_set("A")


@pytest.mark.parametrize("key", ["", "short", "a" * 60, "django-insecure-" + "0123456789" * 5])
def test_a_key_that_is_short_uniform_or_published_is_not_strong(key: str):
    assert not is_strong_key(key)
    assert is_strong_key("0123456789" * 5)


SECRET_NAMES = ["SECRET_KEY", "REDIS_PASSWORD", "EMAIL_URL", "DATABASE_URL", "GENERATOR_SEED", "API_TOKEN"]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_value_of_a_secret_is_not_shown(name: str):
    assert "hunter2" not in str(BadVariable(name, "hunter2", "another"))


@pytest.mark.parametrize(
    ("method", "text"),
    [
        *(("address", "redis://:hunter2@host:6379"), ("address", "user:hunter2@host:6379")),
        *(("addresses", "user:hunter2@host:9092"), ("origins", "https://user:hunter2@example.org")),
        *(("networks", "hunter2@10.0.0.1"), ("symbols", "user:hunter2@host"), ("duration", "user:hunter2@host")),
    ],
)
def test_a_value_that_may_hold_a_password_is_not_shown_under_any_name(method: str, text: str):
    with pytest.raises(BadVariable, match="X='…' cannot be used") as raised:
        getattr(make(X=text), method)("X", "")
    assert "hunter2" not in str(raised.value)


def test_a_long_value_is_shown_in_part():
    assert len(str(BadVariable("KAFKA_TOPIC", "x" * 10_000, "short"))) < 250


def test_names_and_defaults_of_variables_are_recorded_in_order():
    environment = make(B="2")
    environment.integer("A", 7)
    environment.text("B", "x")
    environment.with_prefix("C_")
    assert environment.defaults == {"A": "7", "B": "x", "C_*": ""}
    assert list(environment.defaults) == ["A", "B", "C_*"]


STRONG_KEY = "a key for this test that is long enough for production: 0123456789"


def run_check(**variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "manage.py"), "check"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)


def test_an_invalid_value_stops_the_start_with_one_line_that_names_it():
    ended = run_check(GATEWAY_TIMEOUTS_WRITE_WAIT="10")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "GATEWAY_TIMEOUTS_WRITE_WAIT='10' cannot be used: it must be a duration such as 500ms" in ended.stderr


def test_production_without_a_secret_key_does_not_start():
    ended = run_check(APP_ENV="production", SECRET_KEY="")
    assert ended.returncode == 1
    assert "SECRET_KEY" in ended.stderr


@pytest.mark.parametrize("key", ["short", "a" * 60, "hunter2" * 3])
def test_production_with_a_weak_secret_key_does_not_start_and_does_not_repeat_it(key: str):
    ended = run_check(APP_ENV="production", SECRET_KEY=key)
    reason = "it must be a random text of at least 50 characters when APP_ENV is production"
    assert (ended.returncode, ended.stderr) == (1, f"stockwatch: SECRET_KEY='…' cannot be used: {reason}\n")


def test_production_with_a_weak_old_secret_key_does_not_start():
    strong = "0123456789" * 5
    ended = run_check(APP_ENV="production", SECRET_KEY=strong, SECRET_KEY_FALLBACKS=f"{strong}, hunter2")
    assert ended.returncode == 1
    assert ended.stderr.startswith("stockwatch: SECRET_KEY_FALLBACKS='…' cannot be used: it must be old keys")
    assert "hunter2" not in ended.stderr


def test_production_with_error_pages_for_developers_does_not_start():
    ended = run_check(APP_ENV="production", SECRET_KEY="0123456789" * 5, DEBUG="true")
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "stockwatch: DEBUG='true' cannot be used: it must be false when APP_ENV is production"
    )
    assert ended.stderr.count("\n") == 1


SITE = {
    "APP_ENV": "production",
    "SECRET_KEY": "0123456789" * 5,
    "EMAIL_URL": "dummymail://",
    "GATEWAY_ALLOWED_ORIGINS": "https://stocks.example",
}


@pytest.mark.parametrize("url", ["dummymail://", "smtp+tls://user:password@mail.example.org:587"])
def test_production_starts_with_a_key_origins_and_a_mail_server(url: str):
    ended = run_check(**SITE | {"EMAIL_URL": url})
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("SECRET_KEY", "development only: anyone who reads the source knows this key", "a random text of at least 50"),
        ("ALLOWED_HOSTS", "localhost,*", "the host names of the site when APP_ENV is production"),
        ("GATEWAY_ALLOWED_ORIGINS", "*", "the origin of the site, such as https://example.org, when"),
        ("GATEWAY_ALLOWED_ORIGINS", "https://stocks.example,*", "the origin of the site, such as https://example.org"),
        ("GATEWAY_ALLOWED_ORIGINS", "", "the origin of the site, such as https://example.org, when"),
        ("EMAIL_URL", "consolemail://", "the mail server, or dummymail:// to send no e-mails, when"),
        ("EMAIL_URL", "filemail:///tmp/mail", "the mail server, or dummymail:// to send no e-mails, when"),
    ],
)
def test_production_with_a_setting_of_development_does_not_start(name: str, text: str, allowed: str):
    ended = run_check(**SITE | {name: text})
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(f"stockwatch: {name}=")
    assert f"cannot be used: it must be {allowed}" in ended.stderr


def test_production_has_no_default_for_the_origins_of_the_site():
    ended = run_check(**{key: value for key, value in SITE.items() if key != "GATEWAY_ALLOWED_ORIGINS"})
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "GATEWAY_ALLOWED_ORIGINS" in ended.stderr


def test_production_without_a_mail_server_sends_no_e_mail():
    code = "from stockwatch import settings; print(settings.EMAIL_BACKEND)"
    variables = {key: value for key, value in SITE.items() if key != "EMAIL_URL"}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert ended.stdout == "django.core.mail.backends.dummy.EmailBackend\n"


def test_recorder_and_processor_cannot_share_a_group():
    ended = run_check(RECORDER_GROUP_ID="one", KAFKA_GROUP_ID="one")
    assert ended.returncode == 1
    assert "RECORDER_GROUP_ID='one' cannot be used" in ended.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KAFKA_GROUP_ID", ""),
        ("RECORDER_GROUP_ID", " "),
        ("KAFKA_SESSION_TIMEOUT", "6m"),
        ("KAFKA_BROKERS", "localhost:99999"),
        ("KAFKA_TOPIC", ".."),
        ("KAFKA_DLQ_TOPIC", "."),
        ("KAFKA_DLQ_TOPIC", "market_ticks"),
        ("GATEWAY_VALID_TICKERS", "a b"),
        ("GATEWAY_ALLOWED_ORIGINS", "http://[::1"),
        ("CSRF_TRUSTED_ORIGINS", "*"),
        ("REDIS_ADDR", "redis://cache.example.org:6380"),
        ("REDIS_ADDR", "one:6379,two:6379"),
        ("REDIS_ADDR", "cache .example.org:6379"),
    ],
)
def test_a_value_that_cannot_work_stops_the_start(name: str, text: str):
    ended = run_check(**{name: text})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"stockwatch: {name}={text.strip()!r} cannot be used: it must be ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "garbage", "mysql2://x", "mysql://x/y", "postgres://user:hunter2@db:port/stock"),
        *("postgres://user:hunter2@db:99999/stock", "postgres://user:hunter2/x@db:5432/stock"),
    ],
)
def test_an_invalid_database_url_is_not_repeated(text: str):
    ended = run_check(DATABASE_URL=text)
    assert ended.returncode == 1
    assert ended.stderr.startswith("stockwatch: DATABASE_URL='…' cannot be used: it must be such as sqlite:///")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


def test_several_words_are_chosen_each_once_and_in_any_case():
    assert Environment({"A": "Kraken, coinbase,kraken"}).choices("A", ["kraken", "coinbase"]) == ["kraken", "coinbase"]
    assert Environment({}).choices("A", ["kraken"]) == []


def test_a_word_that_is_not_allowed_is_refused():
    with pytest.raises(BadVariable, match="some of kraken, coinbase between commas"):
        Environment({"A": "kraken,other"}).choices("A", ["kraken", "coinbase"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ""), ("wss://x.org/v2/", "wss://x.org/v2"), ("ws://h:1/stream?unit=us", "ws://h:1/stream?unit=us")],
)
def test_the_address_of_a_server_is_a_url_or_empty(value: str, expected: str):
    assert Environment({"A": value}).server_url("A", "wss", "ws") == expected


@pytest.mark.parametrize(
    "value",
    [
        *("http://x.org", "wss:/x.org", "wss://", "wss://x.org/a b", "wss://x.org#a", "x.org"),
        *("wss://[x.org", "wss://:443", "wss://user@", "wss://x.org:99999", "wss://x.org:0", "wss://x.org:port"),
    ],
)
def test_another_address_is_refused(value: str):
    with pytest.raises(BadVariable, match="a URL that begins with wss://"):
        Environment({"A": value}).server_url("A", "wss", "ws")


def test_a_cluster_has_several_nodes_and_no_other_database():
    assert run_check(REDIS_CLUSTER="true", REDIS_ADDR="one:6379,[::1]:6380").returncode == 0
    ended = run_check(REDIS_CLUSTER="true", REDIS_DB="3")
    assert ended.returncode == 1
    assert ended.stderr == (
        "stockwatch: REDIS_DB='3' cannot be used: it must be 0 when REDIS_CLUSTER is true: "
        "a cluster has no other database\n"
    )
    ended = run_check(REDIS_CLUSTER="true", REDIS_ADDR="redis://one:6379")
    assert ended.returncode == 1
    assert ended.stderr.startswith("stockwatch: REDIS_ADDR='redis://one:6379' cannot be used: it must be host:port")
