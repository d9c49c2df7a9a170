from pathlib import Path

import pytest

from stockwatch.environment import BadVariable, Environment
from stockwatch.server_urls import read_database, read_database_url, read_email_url, read_pool_size
from tests.support.project_copy import copy_project, read_settings

ROOT_FOLDER = Path("/srv/stockwatch")


def test_a_relative_file_is_in_the_root_folder_from_any_working_directory(tmp_path: Path):
    project = copy_project(tmp_path / "project", b"DATABASE_URL=sqlite:///db.sqlite3\n")
    assert f"'{project / 'db.sqlite3'}'" in read_settings(project, "DATABASES", cwd=tmp_path)


def test_the_default_file_is_in_the_root_folder_whatever_its_name(tmp_path: Path):
    project = copy_project(tmp_path / "c# 100%? stocks")
    assert f"'{project / 'db.sqlite3'}'" in read_settings(project, "DATABASES", cwd=tmp_path)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///db.sqlite3", "/srv/stockwatch/db.sqlite3"),
        ("sqlite:///data/db.sqlite3", "/srv/stockwatch/data/db.sqlite3"),
        ("sqlite:////var/db.sqlite3", "/var/db.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
    ],
)
def test_a_sqlite_file_is_absolute(url: str, name: str):
    assert read_database_url(url, ROOT_FOLDER)["NAME"] == name


def test_options_of_a_postgresql_url_override_the_time_limits():
    options = read_database_url("postgres://a:b@db:5432/stock?connect_timeout=9", ROOT_FOLDER)["OPTIONS"]
    assert (options["connect_timeout"], options["tcp_user_timeout"]) == (9, 10_000)


@pytest.mark.parametrize(
    "url",
    [
        *("", "garbage", "mysql://x/hunter2", "sqlite://hunter2.sqlite3", "postgres://user:hunter2@db:5432"),
        *("postgres://user:hunter2@db:5432/", "postgres://user:hunter2@db:port/stock", "oracle://u:hunter2@db/x"),
    ],
)
def test_an_invalid_database_url_is_refused_without_being_repeated(url: str):
    with pytest.raises(BadVariable) as raised:
        read_database_url(url, ROOT_FOLDER)
    assert str(raised.value).startswith("stockwatch: DATABASE_URL='…' cannot be used: it must be such as sqlite:///")
    assert "hunter2" not in str(raised.value)


POSTGRES = "postgres://user:hunter2@db:5432/stock"


def read(**variables: str) -> dict:
    """Returns Django's settings for these variables, whose names are without the prefix `DATABASE_`."""
    return read_database(Environment({f"DATABASE_{name}": value for name, value in variables.items()}), ROOT_FOLDER)


def test_an_authority_makes_programs_verify_certificate_and_host_name():
    options = read(URL=POSTGRES, CA_FILE="/ca.pem", CERT_FILE="/own.pem", KEY_FILE="/own.key")["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/ca.pem")
    assert (options["sslcert"], options["sslkey"]) == ("/own.pem", "/own.key")


def test_a_client_certificate_without_an_authority_requires_tls():
    assert read(URL=POSTGRES, CERT_FILE="/own.pem", KEY_FILE="/own.key")["OPTIONS"]["sslmode"] == "require"


def test_the_query_of_a_url_can_say_everything_about_tls():
    options = read(URL=POSTGRES + "?sslmode=verify-ca&sslrootcert=/other.pem", CA_FILE="/ca.pem")["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-ca", "/other.pem")


def test_queries_end_after_30_seconds_and_options_of_the_url_are_kept():
    assert read(URL=POSTGRES)["OPTIONS"]["options"] == "-c statement_timeout=30000"
    url = POSTGRES + "?options=-c%20work_mem%3D1MB"
    assert read(URL=url, STATEMENT_TIMEOUT="1500ms")["OPTIONS"]["options"] == (
        "-c statement_timeout=1500 -c work_mem=1MB"
    )
    assert "options" not in read(URL=POSTGRES, STATEMENT_TIMEOUT="0s")["OPTIONS"]


def test_connections_are_kept_for_a_minute_and_tested_before_each_use():
    database = read(URL=POSTGRES)
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (60.0, True)
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is False
    assert read(URL=POSTGRES, CONN_MAX_AGE="0s")["CONN_MAX_AGE"] == 0


def test_pgbouncer_gets_neither_cursors_of_the_server_nor_start_up_parameters():
    database = read(URL=POSTGRES, PGBOUNCER="true")
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert "options" not in database["OPTIONS"]
    assert "options" not in read(URL=POSTGRES, PGBOUNCER="true", STATEMENT_TIMEOUT="0s")["OPTIONS"]


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"CA_FILE": "/ca.pem"}, "DATABASE_CA_FILE"),
        ({"CERT_FILE": "/own.pem", "KEY_FILE": "/own.key"}, "DATABASE_CERT_FILE"),
        ({"PGBOUNCER": "true"}, "DATABASE_PGBOUNCER"),
        ({"URL": POSTGRES, "CERT_FILE": "/own.pem"}, "DATABASE_CERT_FILE"),
        ({"URL": POSTGRES, "KEY_FILE": "/own.key"}, "DATABASE_CERT_FILE"),
        ({"URL": POSTGRES, "PGBOUNCER": "true", "STATEMENT_TIMEOUT": "5s"}, "DATABASE_STATEMENT_TIMEOUT"),
    ],
)
def test_variables_that_contradict_each_other_are_refused(variables: dict[str, str], name: str):
    with pytest.raises(BadVariable, match=f"^stockwatch: {name}=") as raised:
        read(**variables)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("size", "url"), [("4", "sqlite:///db.sqlite3"), ("1", POSTGRES), ("x", POSTGRES)])
def test_a_pool_needs_postgresql_and_two_connections(size: str, url: str):
    env = Environment({"DATABASE_POOL_SIZE": size})
    with pytest.raises(BadVariable, match=r"^stockwatch: DATABASE_POOL_SIZE="):
        read_pool_size(env, read(URL=url))


def test_a_gateway_has_no_pool_unless_the_setting_names_its_size():
    assert read_pool_size(Environment({}), read(URL=POSTGRES)) == 0
    assert read_pool_size(Environment({"DATABASE_POOL_SIZE": "4"}), read(URL=POSTGRES)) == 4


@pytest.mark.parametrize("url", ["", "mail://user:hunter2@host", "smtp://user:hunter2@host:port", "smtp://[hunter2"])
def test_an_invalid_email_url_is_refused_without_being_repeated(url: str):
    with pytest.raises(BadVariable) as raised:
        read_email_url(url)
    assert str(raised.value).startswith("stockwatch: EMAIL_URL='…' cannot be used: it must be such as smtp+tls://")
    assert "hunter2" not in str(raised.value)


def test_an_email_url_names_server_account_and_encryption():
    mail = read_email_url("smtp+tls://user:pass%40word@mail.example.org:587")
    assert (mail["EMAIL_HOST"], mail["EMAIL_PORT"], mail["EMAIL_USE_TLS"]) == ("mail.example.org", 587, True)
    assert (mail["EMAIL_HOST_USER"], mail["EMAIL_HOST_PASSWORD"]) == ("user", "pass@word")
