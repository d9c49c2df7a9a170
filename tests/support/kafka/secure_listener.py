"""Adds a listener with TLS, client certificates and SASL to the configuration of a broker."""

from pathlib import Path

from tests.support.servers.certificates import Certificates

USER, PASSWORD = "stockwatch", "kafka secret"

SECURE = """
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={folder}/server-with-key.pem
listener.name.secure.ssl.truststore.type=PEM
listener.name.secure.ssl.truststore.location={authority}
listener.name.secure.ssl.client.auth=required
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
"""


def add_secure_listener(properties: str, port: int, certificates: Certificates, folder: Path) -> str:
    """Returns the properties of a broker with a further listener. Writes its certificate and key to the folder.

    The listener accepts USER with PASSWORD over PLAIN, and the users of the cluster over SCRAM.
    """
    key = certificates.key.read_text().strip()
    (folder / "server-with-key.pem").write_text(f"{certificates.certificate.read_text().strip()}\n{key}\n")
    lines = []
    for line in properties.splitlines():
        if line.startswith(("listeners=", "advertised.listeners=")):
            line += f",SECURE://localhost:{port}"
        if not line.startswith("listener.security.protocol.map="):
            lines.append(line)
    secure = SECURE.format(folder=folder, authority=certificates.authority, user=USER, password=PASSWORD)
    return "\n".join(lines) + secure
