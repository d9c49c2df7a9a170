from pathlib import Path

import pytest

from stockwatch.environment import BadVariable
from stockwatch.server_urls import read_database_url, read_email_url
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
