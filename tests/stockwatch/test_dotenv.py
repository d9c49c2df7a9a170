from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockwatch.dotenv import MAX_BYTES, BadEnvironmentFile, find_unknown, parse_variables
from tests.support.cases import FOLDER
from tests.support.project_copy import copy_project, read_settings, run_manage


def parse(text: str) -> dict[str, str]:
    return parse_variables(text.encode(), ".env")


def error_of(content: bytes) -> str:
    with pytest.raises(BadEnvironmentFile) as raised:
        parse_variables(content, ".env")
    return str(raised.value)


@pytest.mark.parametrize(
    ("case", "variables"),
    [
        ("bom", {"REDIS_PASSWORD": "secret", "KAFKA_TOPIC": "abc"}),
        ("spaces", {"REDIS_PASSWORD": "secret", "KAFKA_TOPIC": "abc"}),
        ("quotes_trailing", {"REDIS_PASSWORD": "secret"}),
        ("inline_comment", {"KAFKA_GROUP_ID": "stock"}),
    ],
)
def test_a_file_is_read_as_a_person_means_it(case: str, variables: dict[str, str]):
    content = (FOLDER / "env" / f"{case}.env").read_bytes()
    assert parse_variables(content, ".env") == variables


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("utf16", "stockwatch: .env line 1 is UTF-16, or contains a null byte: save the file as UTF-8"),
        ("latin1", "stockwatch: .env line 1 is not UTF-8 but probably Latin-1 (Windows-1252): save the file as UTF-8"),
    ],
)
def test_another_encoding_stops_the_start_with_one_line(tmp_path: Path, case: str, line: str):
    project = copy_project(tmp_path / "project", (FOLDER / "env" / f"{case}.env").read_bytes())
    ended = run_manage(project, "check")
    assert (ended.returncode, ended.stderr) == (1, line + "\n")


def test_a_redis_url_stops_the_start_with_one_line_that_names_the_accepted_form(tmp_path: Path):
    project = copy_project(tmp_path / "project", (FOLDER / "env" / "redisurl.env").read_bytes())
    ended = run_manage(project, "check")
    assert ended.returncode == 1
    assert ended.stderr.startswith("stockwatch: REDIS_ADDR='…' cannot be used: it must be host:port or :port")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


def test_tickers_and_base_prices_of_the_file_are_those_of_the_stack(tmp_path: Path):
    project = copy_project(tmp_path / "project", (FOLDER / "env" / "make_run_tickers.env").read_bytes())
    assert read_settings(project, "RUNSTACK_TICKERS", "RUNSTACK_BASE_PRICES", "APP_PORT") == (
        "['AAPL', 'XYZ'] {'AAPL': 11.0, 'XYZ': 22.0} 9104"
    )


def test_real_variables_override_the_file(tmp_path: Path):
    project = copy_project(tmp_path / "project", b"REDIS_PASSWORD=file\nKAFKA_TOPIC=file\n")
    assert read_settings(project, "REDIS_PASSWORD", "KAFKA_TOPIC", KAFKA_TOPIC="real") == "file real"


def test_a_missing_file_is_an_empty_one(tmp_path: Path):
    assert read_settings(copy_project(tmp_path / "project"), "KAFKA_TOPIC") == "market_ticks"


def test_a_folder_in_place_of_the_file_stops_the_start_with_one_line(tmp_path: Path):
    project = copy_project(tmp_path / "project")
    (project / ".env").mkdir()
    ended = run_manage(project, "check")
    assert (ended.returncode, ended.stderr) == (1, "stockwatch: .env cannot be read: Is a directory\n")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        *(("NAME=a", "a"), ("export NAME=a", "a"), ("  NAME\t=\ta  ", "a"), ("NAME=", ""), ("NAME=   ", "")),
        *(("NAME=a # comment", "a"), ("NAME=a\t#", "a"), ("NAME=# comment", ""), ("NAME=a#b", "a#b")),
        *(("NAME='a # b' # comment", "a # b"), ('NAME="a # b"   ', "a # b"), ("NAME=' a '", " a ")),
        *((r'NAME="a\"b\\c"', r'a"b\c'), (r'NAME="a\nb"', r"a\nb"), (r"NAME='a\b'", r"a\b"), ("NAME=a=b", "a=b")),
        *(('NAME=a"b', 'a"b'), ("NAME=a b", "a b"), ('NAME=""', ""), ("NAME=Währung", "Währung")),
    ],
)
def test_a_line_gives_one_value(line: str, value: str):
    assert parse(line + "\n") == {"NAME": value}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system_and_the_last_of_equal_names_counts(end: str):
    assert parse(end.join(["# comment", "", "  # indented", "A=1", "B=2", "A=3"])) == {"A": "3", "B": "2"}


@pytest.mark.parametrize(
    "line", ["hunter2", "REDIS PASSWORD=hunter2", "=hunter2", "REDIS-PASSWORD=hunter2", "A: hunter2"]
)
def test_a_line_of_another_form_is_named_by_its_number_and_not_repeated(line: str):
    error = error_of(f"A=1\n\n{line}\n".encode())
    assert error.startswith("stockwatch: .env line 3 is not NAME=value")
    assert "hunter2" not in error
    assert "\n" not in error


@pytest.mark.parametrize("value", ['"hunter2', "'hunter2", '"hunter2"x', "'hunter2'x", '"hunter2\\"'])
def test_quotes_that_do_not_end_the_value_are_refused_without_the_value(value: str):
    error = error_of(f"A=1\nPASSWORD={value}\n".encode())
    assert error.startswith("stockwatch: .env line 2: the quotes of PASSWORD do not end the value")
    assert "hunter2" not in error


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_line_of_another_encoding_is_named(mark: bytes):
    assert "line 3 is not UTF-8" in error_of(mark + b"A=1\r\nB=2\r\nPASSWORD=h\xe4nter2\r\n")


def test_utf_16_without_a_mark_and_null_bytes_are_refused():
    assert "line 1 is UTF-16" in error_of("A=1\n".encode("utf-16-be"))
    assert "line 2 is UTF-16, or contains a null byte" in error_of(b"A=1\nPASSWORD=hunter\x002\n")


def test_a_file_over_one_mebibyte_is_refused():
    assert "is larger than 1048576 bytes" in error_of(b"#" * (MAX_BYTES + 1))


@given(st.binary(max_size=60))
def test_any_file_gives_variables_or_one_line(content: bytes):
    error, variables = "", {}
    try:
        variables = parse_variables(content, ".env")
    except BadEnvironmentFile as refused:
        error = str(refused)
    assert "\n" not in error
    assert not any("\0" in text for pair in variables.items() for text in pair)


def test_unknown_names_are_found_with_the_most_similar_known_name():
    known = ["REDIS_ADDR", "KAFKA_BROKERS", "KAFKA_OPTION_*"]
    names = ["REDIS_ADDRESS", "REDIS_ADDR", "KAFKA_OPTION_LINGER_MS", "ZZZ"]
    assert find_unknown(names, known) == {"REDIS_ADDRESS": "REDIS_ADDR", "ZZZ": ""}
    assert find_unknown(["REDIS_ADDR"], ["REDIS_ADDR"]) == {}
    assert find_unknown(["ZZZ"], ["REDIS_ADDR"]) == {"ZZZ": ""}
