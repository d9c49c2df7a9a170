"""Reads how programs connect to Kafka: TLS, SASL, and further options of the client library. Pure."""

from stockwatch.environment import BadVariable, Environment

PROTOCOLS = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
MECHANISMS = ["plain", "scram-sha-256", "scram-sha-512"]
OPTION_PREFIX = "KAFKA_OPTION_"
FILES = {
    "ssl.ca.location": "KAFKA_CA_FILE",
    "ssl.certificate.location": "KAFKA_CERT_FILE",
    "ssl.key.location": "KAFKA_KEY_FILE",
    "ssl.key.password": "KAFKA_KEY_PASSWORD",
}
GUARANTEES = frozenset(
    {
        "acks",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "isolation.level",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "message.send.max.retries",
        "partition.assignment.strategy",
        "partitioner",
        "request.required.acks",
        "retries",
        "transactional.id",
    }
)
"""Options on which the programs rely for their guarantees: no lost record, one order for each symbol."""
NAMED_BY_SETTINGS = frozenset({"bootstrap.servers", "group.id", "group.instance.id", "session.timeout.ms"})
"""Options that have settings of their own."""


def read_kafka_options(env: Environment) -> dict[str, str]:
    """Returns options of librdkafka for every client, such as `{"security.protocol": "sasl_ssl"}`.

    Each variable with the prefix KAFKA_OPTION_ sets one option: for example, KAFKA_OPTION_LINGER_MS sets `linger.ms`.
    Raises BadVariable.
    """
    protocol = env.choice("KAFKA_SECURITY_PROTOCOL", "plaintext", PROTOCOLS)
    options = {} if protocol == "plaintext" else {"security.protocol": protocol}
    return options | _read_sasl(env, protocol) | _read_tls(env, protocol) | _read_further(env)


def _read_sasl(env: Environment, protocol: str) -> dict[str, str]:
    mechanism = env.choice("KAFKA_SASL_MECHANISM", "scram-sha-512", MECHANISMS)
    username, password = env.text("KAFKA_SASL_USERNAME"), env.text("KAFKA_SASL_PASSWORD")
    if not protocol.startswith("sasl"):
        if username:
            raise BadVariable("KAFKA_SASL_USERNAME", username, "empty, or KAFKA_SECURITY_PROTOCOL must be sasl_ssl")
        return {}
    if not (username and password):
        raise BadVariable("KAFKA_SASL_USERNAME", username, "set together with KAFKA_SASL_PASSWORD")
    return {"sasl.mechanism": mechanism.upper(), "sasl.username": username, "sasl.password": password}


def _read_tls(env: Environment, protocol: str) -> dict[str, str]:
    values = {option: env.text(name) for option, name in FILES.items()}
    given = {option: value for option, value in values.items() if value}
    if given and not protocol.endswith("ssl"):
        raise BadVariable(FILES[next(iter(given))], "…", "empty, or KAFKA_SECURITY_PROTOCOL must be ssl or sasl_ssl")
    return given


def _read_further(env: Environment) -> dict[str, str]:
    options = {}
    for name, value in env.with_prefix(OPTION_PREFIX).items():
        option = name.lower().replace("_", ".")
        if option in GUARANTEES:
            raise BadVariable(OPTION_PREFIX + name, "…", f"not set: the programs rely on their own value of {option}")
        if option in NAMED_BY_SETTINGS:
            raise BadVariable(OPTION_PREFIX + name, "…", f"not set: another setting decides {option}")
        options[option] = value
    return options
