import traceback
from typing import Any

import pytest

from stockwatch.environment import BadVariable, Environment
from stockwatch.redis_address import describe_channels_host, read_redis_address

LOCAL = {"host": "localhost", "port": 6379, "password": None, "db": 0}
FILES = {"REDIS_CA_FILE": "/ca", "REDIS_CERT_FILE": "/cert", "REDIS_KEY_FILE": "/key"}
TLS = {"ssl": True, "ssl_ca_certs": "/ca", "ssl_certfile": "/cert", "ssl_keyfile": "/key"}


def read(**variables: str) -> dict[str, Any]:
    return read_redis_address(Environment(variables))


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, LOCAL),
        ({"REDIS_ADDR": ":1", "REDIS_PASSWORD": "p", "REDIS_DB": "2"}, LOCAL | {"port": 1, "password": "p", "db": 2}),
        ({"REDIS_CLUSTER": "true", "REDIS_ADDR": "a:1,b:2"}, {"nodes": (("a", 1), ("b", 2)), "password": None}),
        ({"REDIS_URL": "redis://h:1"}, LOCAL | {"host": "h", "port": 1}),
        ({"REDIS_URL": "redis://:p%40@[::1]:1/3"}, {"host": "::1", "port": 1, "password": "p@", "db": 3}),
        (
            {"REDIS_URL": "rediss://u:p@h:1/3", **FILES},
            {"host": "h", "port": 1, "username": "u", "password": "p", "db": 3, **TLS},
        ),
        ({"REDIS_URL": "unix:///a%20b?db=1"}, {"path": "/a b", "password": None, "db": 1}),
        ({"REDIS_URL": "unix://u:p@/a"}, {"path": "/a", "username": "u", "password": "p", "db": 0}),
        (
            {"REDIS_CLUSTER": "true", "REDIS_URL": "rediss://u:p@a:1,b:2"},
            {"nodes": (("a", 1), ("b", 2)), "username": "u", "password": "p", "ssl": True},
        ),
        (
            {"REDIS_SENTINELS": "a:1,b:2", "REDIS_SENTINEL_PASSWORD": "p"},
            LOCAL | {"sentinels": (("a", 1), ("b", 2)), "service": "mymaster", "sentinel_password": "p"},
        ),
    ],
)
def test_an_address_is_read_from_plain_variables_or_from_a_url(variables: dict[str, str], address: dict[str, Any]):
    assert read(**variables) == address


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"REDIS_ADDR": "redis://h:1"}, "REDIS_ADDR"),
        ({"REDIS_CLUSTER": "true", "REDIS_DB": "1"}, "REDIS_DB"),
        ({"REDIS_CLUSTER": "true", "REDIS_URL": "redis://h:1/1"}, "REDIS_DB"),
        ({"REDIS_CLUSTER": "true", "REDIS_URL": "unix:///a"}, "REDIS_URL"),
        ({"REDIS_URL": "http://h:1"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:1/x"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:pass[word@h:1"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:1/1024"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:1?timeout=1"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:1#a"}, "REDIS_URL"),
        ({"REDIS_URL": "unix://host/a"}, "REDIS_URL"),
        ({"REDIS_URL": "unix://"}, "REDIS_URL"),
        ({"REDIS_CA_FILE": "/ca"}, "REDIS_CA_FILE"),
        ({"REDIS_URL": "rediss://h:1", "REDIS_CERT_FILE": "/cert"}, "REDIS_CERT_FILE"),
        ({"REDIS_SENTINELS": "a"}, "REDIS_SENTINELS"),
        ({"REDIS_SENTINELS": "a:1", "REDIS_CLUSTER": "true"}, "REDIS_SENTINELS"),
        ({"REDIS_SENTINELS": "a:1", "REDIS_URL": "unix:///a"}, "REDIS_SENTINELS"),
    ],
)
def test_an_address_that_cannot_be_used_names_the_variable(variables: dict[str, str], name: str):
    with pytest.raises(BadVariable, match=f"{name}="):
        read(**variables)


@pytest.mark.parametrize("url", ["redis://user:secret@h:x", "redis://user:secret\u2100@h:1"])
def test_no_error_repeats_a_password(url: str):
    with pytest.raises(BadVariable) as error:
        read(REDIS_URL=url)
    assert "secret" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({}, LOCAL),
        ({"REDIS_CLUSTER": "true", "REDIS_ADDR": "a:1,b:2"}, {"host": "a", "port": 1, "password": None}),
        ({"REDIS_URL": "unix://u:p@/a?db=1"}, {"address": "unix://u:p@/a?db=1"}),
        ({"REDIS_URL": "rediss://[::1]:1/2"}, {"address": "rediss://[::1]:1/2"}),
        (
            {"REDIS_URL": "rediss://u:p%2F%20@h:1", "REDIS_CA_FILE": "/c a"},
            {"address": "rediss://u:p%2F%20@h:1/0?ssl_ca_certs=%2Fc+a"},
        ),
        ({"REDIS_SENTINELS": "a:1"}, LOCAL | {"sentinels": (("a", 1),), "master_name": "mymaster"}),
    ],
)
def test_layers_of_channels_get_a_host_in_their_own_form(variables: dict[str, str], host: dict[str, Any]):
    assert describe_channels_host(read(**variables)) == host | {"protocol": 2}
