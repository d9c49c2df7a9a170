import pytest

from stockwatch.environment import BadVariable, Environment
from stockwatch.kafka_options import read_kafka_options

SASL = {"KAFKA_SECURITY_PROTOCOL": "sasl_ssl", "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "p"}


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, {}),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, {"security.protocol": "ssl"}),
        (
            {"KAFKA_SECURITY_PROTOCOL": "ssl", "KAFKA_CA_FILE": "/ca", "KAFKA_KEY_PASSWORD": "p"},
            {"security.protocol": "ssl", "ssl.ca.location": "/ca", "ssl.key.password": "p"},
        ),
        (
            SASL,
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "u",
                "sasl.password": "p",
            },
        ),
        ({"KAFKA_OPTION_LINGER_MS": "5"}, {"linger.ms": "5"}),
    ],
)
def test_options_of_the_client_library_are_read(variables: dict[str, str], options: dict[str, str]):
    assert read_kafka_options(Environment(variables)) == options


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "tls"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SASL_USERNAME": "u"}, "KAFKA_SASL_USERNAME"),
        (SASL | {"KAFKA_SASL_PASSWORD": ""}, "KAFKA_SASL_USERNAME"),
        (SASL | {"KAFKA_SASL_MECHANISM": "gssapi"}, "KAFKA_SASL_MECHANISM"),
        ({"KAFKA_CA_FILE": "/ca"}, "KAFKA_CA_FILE"),
        ({"KAFKA_OPTION_ENABLE_IDEMPOTENCE": "false"}, "KAFKA_OPTION_ENABLE_IDEMPOTENCE"),
        ({"KAFKA_OPTION_GROUP_ID": "other"}, "KAFKA_OPTION_GROUP_ID"),
    ],
)
def test_options_that_cannot_be_used_name_the_variable(variables: dict[str, str], name: str):
    with pytest.raises(BadVariable, match=f"{name}="):
        read_kafka_options(Environment(variables))
