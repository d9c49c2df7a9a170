import pytest
from django.contrib.auth.models import User

from tests.support.watchlist.tokens import bearer
from watchlist.models import Watchlist

LISTS = "/api/v1/lists"
JSON = {"content_type": "application/json"}


@pytest.fixture
def headers(person, tickers) -> dict[str, str]:
    return bearer(person, "lists")


@pytest.fixture
def make_list(client, headers):
    """Returns a function that creates a list, and returns its address and its ETag."""

    def make_list(name, *symbols):
        response = client.post(LISTS, {"name": name, "symbols": symbols}, headers=headers, **JSON)
        assert response.status_code == 201, response.content
        return response.headers["Location"], response.headers["ETag"]

    return make_list


def symbols_at(client, address, headers):
    return client.get(address, headers=headers).json()["symbols"]


def test_before_the_first_change_there_is_the_example(client, headers):
    [example] = client.get(LISTS, headers=headers).json()["lists"]
    assert (example["id"], example["name"], example["version"], len(example["symbols"])) == (0, "Main", 0, 12)
    assert not Watchlist.objects.exists()


def test_a_list_is_created_read_changed_and_deleted(client, headers, make_list):
    address, etag = make_list("Coins", "btc/usd")
    created = client.get(address, headers=headers)
    key = int(address.rpartition("/")[2])
    assert created.json() == {"id": key, "name": "Coins", "version": 1, "symbols": ["BTC/USD"]}
    assert created.headers["ETag"] == etag == '"1"'
    changed = client.patch(address, {"name": " Two  words ", "symbols": ["AAPL", "T8"]}, headers=headers, **JSON)
    assert changed.json()["list"] == {"id": key, "name": "Two words", "version": 2, "symbols": ["AAPL", "T8"]}
    assert [each["name"] for each in client.get(LISTS, headers=headers).json()["lists"]] == ["Main", "Two words"]
    assert client.delete(address, headers=headers).status_code == 204
    assert client.get(address, headers=headers).status_code == 404


def test_symbols_that_cannot_be_added_have_errors(client, headers, make_list):
    address, _ = make_list("A", "AAPL")
    response = client.post(f"{address}/entries", {"symbols": ["msft", "NOPE", "AAPL", "a b"]}, headers=headers, **JSON)
    assert response.json()["list"]["symbols"] == ["AAPL", "MSFT"]
    errors = {error["symbol"]: error["code"] for error in response.json()["errors"]}
    assert errors == {"NOPE": "unknown_symbol", "A B": "invalid_symbol", "AAPL": "already_listed"}


def test_symbols_are_added_at_a_position_moved_and_removed(client, headers, make_list):
    address, _ = make_list("A", "AAPL", "T1")
    client.post(f"{address}/entries", {"symbols": ["BTC/USD", "MSFT"], "position": 1}, headers=headers, **JSON)
    assert symbols_at(client, address, headers) == ["AAPL", "BTC/USD", "MSFT", "T1"]
    client.patch(f"{address}/entries/btc%2Fusd", {"position": 3}, headers=headers, **JSON)
    assert symbols_at(client, address, headers) == ["AAPL", "MSFT", "T1", "BTC/USD"]
    client.delete(f"{address}/entries/BTC/USD", headers=headers)
    assert symbols_at(client, address, headers) == ["AAPL", "MSFT", "T1"]
    assert client.delete(f"{address}/entries/BTC/USD", headers=headers).status_code == 404
    assert client.patch(f"{address}/entries/NOPE", {"position": 0}, headers=headers, **JSON).status_code == 404


def test_a_list_is_moved_among_the_lists(client, headers, make_list):
    make_list("A")
    address, _ = make_list("B")
    client.patch(address, {"position": 0.0}, headers=headers, **JSON)
    assert [each["name"] for each in client.get(LISTS, headers=headers).json()["lists"]] == ["B", "Main", "A"]


def test_the_example_becomes_a_list_with_the_first_change(client, headers):
    response = client.patch(f"{LISTS}/0", {"name": "Mine"}, headers=headers, **JSON)
    assert (response.json()["list"]["name"], response.json()["list"]["id"]) == ("Mine", Watchlist.objects.get().pk)


def test_a_ticker_that_was_switched_off_stays_in_the_list(client, headers, make_list, tickers):
    address, _ = make_list("A", "AAPL", "MSFT")
    tickers[0].active = False
    tickers[0].save()
    response = client.patch(address, {"symbols": ["MSFT", "AAPL"]}, headers=headers, **JSON)
    assert (response.json()["list"]["symbols"], response.json()["errors"]) == (["MSFT", "AAPL"], [])
    refused = client.post(f"{LISTS}", {"name": "B", "symbols": ["AAPL"]}, headers=headers, **JSON)
    assert refused.json()["list"]["symbols"] == []


def test_a_change_of_an_older_version_is_refused(client, headers, make_list):
    address, etag = make_list("A", "AAPL")
    for method, path, values in [
        (client.patch, address, {"name": "B"}),
        (client.post, f"{address}/entries", {"symbols": ["MSFT"]}),
        (client.patch, f"{address}/entries/AAPL", {"position": 0}),
        (client.delete, f"{address}/entries/AAPL", {}),
        (client.delete, address, {}),
    ]:
        for match in ('"7"', "7", '"7', "", ","):
            response = method(path, values, headers=headers | {"If-Match": match}, **JSON)
            assert (response.status_code, response.json()["title"]) == (412, "Precondition Failed")
    for match in (etag, '"7", "1"', "*", f"W/{etag}", etag.strip('"')):
        response = client.patch(address, {"position": 1}, headers=headers | {"If-Match": match}, **JSON)
        assert response.status_code == 200
    assert symbols_at(client, address, headers) == ["AAPL"]


def test_the_example_is_sent_again_when_a_served_ticker_changed(client, headers, tickers):
    response = client.get(f"{LISTS}/0", headers=headers)
    again = headers | {"If-None-Match": response.headers["ETag"]}
    assert client.get(f"{LISTS}/0", headers=again).status_code == 304
    tickers[0].active = False
    tickers[0].save()
    assert client.get(f"{LISTS}/0", headers=again).status_code == 200


def test_an_unchanged_list_gets_304(client, headers, make_list):
    address, etag = make_list("A", "AAPL")
    assert client.get(address, headers=headers | {"If-None-Match": etag}).status_code == 304
    client.delete(f"{address}/entries/AAPL", headers=headers)
    assert client.get(address, headers=headers | {"If-None-Match": etag}).status_code == 200


def test_conflicts_with_other_lists_get_409(client, headers, make_list):
    address, _ = make_list("A")
    assert client.post(LISTS, {"name": "a"}, headers=headers, **JSON).status_code == 409
    assert client.patch(address, {"name": "main"}, headers=headers, **JSON).status_code == 409
    [main] = (each["id"] for each in client.get(LISTS, headers=headers).json()["lists"] if each["name"] == "Main")
    assert client.delete(f"{LISTS}/{main}", headers=headers).status_code == 204
    response = client.delete(address, headers=headers)
    assert (response.status_code, response.json()["detail"][:25]) == (409, "This is your only list. R")


def test_a_full_account_and_a_full_list_refuse_more(client, headers, make_list, make_ticker):
    for number in range(19):
        address, _ = make_list(f"list {number}")
    assert client.post(LISTS, {"name": "more"}, headers=headers, **JSON).status_code == 409
    symbols = [make_ticker(f"S{number}").symbol for number in range(201)]
    assert client.patch(address, {"symbols": symbols[:200]}, headers=headers, **JSON).status_code == 200
    response = client.post(f"{address}/entries", {"symbols": [symbols[200]]}, headers=headers, **JSON)
    assert response.json()["errors"][0]["code"] == "list_full"
    assert len(response.json()["list"]["symbols"]) == 200


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "{}", "null", '{"name":"A","symbols":"AAPL"}', '{"name":"A","more":1}', '{"name":"\\ud800"}'),
        *('{"name":"A","\\ud800":1}', '{"name":" "}', '{"name":"a\\u0000"}', '{"name":"' + "x" * 81 + '"}'),
        '{"name":"A","symbols":' + str(["A"] * 201).replace("'", '"') + "}",
    ],
)
def test_values_that_do_not_fit_are_refused(client, headers, body):
    response = client.post(LISTS, body, headers=headers, **JSON)
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")
    assert not Watchlist.objects.exists()


@pytest.mark.parametrize("body", ["{", "x", "[" * 100_000, b"\xff", '{"name":' + "9" * 5000 + "}"])
def test_a_body_that_is_no_json_is_refused(client, headers, body):
    assert client.post(LISTS, body, headers=headers, **JSON).status_code == 400


def test_an_id_that_no_list_can_have_is_not_found(client, headers):
    for key in ("9" * 30, "-1", "x"):
        assert client.get(f"{LISTS}/{key}", headers=headers).status_code == 404


def test_a_deleted_account_is_told_nothing(client, headers):
    User.objects.all().delete()
    assert client.get(LISTS, headers=headers).status_code == 401
