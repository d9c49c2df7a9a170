"""Reads where Redis is: one server, a cluster, or a master that Sentinel names. Pure.

`feeds.store.connection.connect` opens a connection from the result.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from stockwatch.environment import BadVariable, Environment

ONE_SERVER = ": one server, without redis://, user or password (REDIS_URL holds all of them)"
URL_RULE = (
    "such as rediss://user:password@redis.example.org:6379/0, with redis:// for a connection without TLS, or"
    " unix:///run/redis.sock?db=0, with / @ : # ? [ ] in a password written as %2F %40 %3A %23 %3F %5B %5D"
)
MAX_DATABASE = 1023
TLS_FILES = {"ssl_ca_certs": "REDIS_CA_FILE", "ssl_certfile": "REDIS_CERT_FILE", "ssl_keyfile": "REDIS_KEY_FILE"}

Address = dict[str, Any]


def read_redis_address(env: Environment) -> Address:
    """Returns the address of Redis as a dict. Raises BadVariable if a variable is not valid.

    A server has the keys `host`, `port`, `password` and `db`. A server on a Unix socket has `path` instead of `host`
    and `port`. A cluster has `password` and `nodes`, a list of pairs (host, port). Optional keys: `username`, `ssl`,
    the paths of TLS_FILES, `sentinels` (pairs of host and port), `service` and `sentinel_password`.
    """
    is_cluster = env.boolean("REDIS_CLUSTER")
    url, plain = env.text("REDIS_URL"), _read_plain(env, is_cluster)
    address = _parse_url(url, is_cluster) if url else plain
    address |= _read_tls(env, bool(address.get("ssl")))
    return address | _read_sentinels(env, is_cluster or "path" in address)


def _read_plain(env: Environment, is_cluster: bool) -> Address:
    """Returns the address in REDIS_ADDR, REDIS_PASSWORD and REDIS_DB."""
    password = env.text("REDIS_PASSWORD") or None
    database = env.integer("REDIS_DB", 0, maximum=MAX_DATABASE)
    if is_cluster:
        _refuse_database(database)
        return {"nodes": env.nodes("REDIS_ADDR", "localhost:6379"), "password": password}
    host, port = env.address("REDIS_ADDR", "localhost:6379", ONE_SERVER)
    return {"host": host or "localhost", "port": port, "password": password, "db": database}


def _refuse_database(database: int) -> None:
    if database:
        raise BadVariable("REDIS_DB", str(database), "0 when REDIS_CLUSTER is true: a cluster has no other database")


def _parse_url(url: str, is_cluster: bool) -> Address:
    try:
        parts = urlsplit(url)
    except ValueError:  # such as a password with [ or ]; the message of this error may contain the password
        raise BadVariable("REDIS_URL", url, URL_RULE) from None
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    address: Address = {"password": unquote(password) or None}
    if user:
        address["username"] = unquote(user)
    query = dict(parse_qsl(parts.query))
    text = query.pop("db", "") if parts.scheme == "unix" else parts.path.strip("/")
    is_valid = parts.scheme in {"redis", "rediss", "unix"} and not parts.fragment and not query
    if not (is_valid and (text == "" or (text.isdecimal() and int(text) <= MAX_DATABASE))):
        raise BadVariable("REDIS_URL", url, URL_RULE)
    database = int(text or 0)
    if parts.scheme == "unix":
        if hosts or is_cluster or not parts.path.strip("/"):
            raise BadVariable("REDIS_URL", url, URL_RULE)
        return address | {"path": unquote(parts.path), "db": database}
    if parts.scheme == "rediss":
        address["ssl"] = True
    if is_cluster:
        _refuse_database(database)
        return address | {"nodes": Environment({"REDIS_URL": hosts}).nodes("REDIS_URL", "")}
    host, port = Environment({"REDIS_URL": hosts}).address("REDIS_URL", "", ONE_SERVER)
    return address | {"host": host or "localhost", "port": port, "db": database}


def _read_tls(env: Environment, uses_tls: bool) -> Address:
    files = {option: env.text(name) for option, name in TLS_FILES.items()}
    given = {option: path for option, path in files.items() if path}
    if given and not uses_tls:
        name = TLS_FILES[next(iter(given))]
        raise BadVariable(name, "…", "empty, or REDIS_URL must begin with rediss://")
    if bool(files["ssl_certfile"]) != bool(files["ssl_keyfile"]):
        raise BadVariable("REDIS_CERT_FILE", files["ssl_certfile"], "set together with REDIS_KEY_FILE")
    return given


def _read_sentinels(env: Environment, is_impossible: bool) -> Address:
    service = env.text("REDIS_SENTINEL_SERVICE", "mymaster")
    password = env.text("REDIS_SENTINEL_PASSWORD")
    if not env.texts("REDIS_SENTINELS"):
        return {}
    if is_impossible:
        raise BadVariable("REDIS_SENTINELS", "…", "empty with REDIS_CLUSTER=true and with a Unix socket")
    sentinels = env.nodes("REDIS_SENTINELS", "")
    return {"sentinels": sentinels, "service": service, "sentinel_password": password or None}


def describe_channels_host(address: Address) -> dict[str, Any]:
    """Returns an item for the option `hosts` of channels_redis. For a cluster, the item names the first node."""
    host = {name: value for name, value in address.items() if name not in {"nodes", "service", "sentinel_password"}}
    if "nodes" in address:
        host["host"], host["port"] = address["nodes"][0]
    if "sentinels" in address:
        return host | {"master_name": address["service"], "protocol": 2}
    if "path" in address or "ssl" in address:
        return {"address": _make_url(host), "protocol": 2}
    return host | {"protocol": 2}


def _make_url(address: Address) -> str:
    """Returns the URL of one server, as redis-py parses it."""
    user, password = address.get("username") or "", address["password"] or ""
    credentials = f"{_quote(user)}:{_quote(password)}@" if user or password else ""
    if "path" in address:
        return f"unix://{credentials}{address['path']}?db={address.get('db', 0)}"
    files = {option: address[option] for option in TLS_FILES if option in address}
    query = f"?{urlencode(files)}" if files else ""
    scheme = "rediss" if address.get("ssl") else "redis"
    host = f"[{address['host']}]" if ":" in address["host"] else address["host"]
    return f"{scheme}://{credentials}{host}:{address['port']}/{address.get('db', 0)}{query}"


def _quote(text: str) -> str:
    return urlencode({"": text})[1:].replace("+", "%20")
