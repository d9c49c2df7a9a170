"""Makes certificates for servers on loopback, with the program `openssl`."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1"
# Python 3.13 refuses an authority without this extension.
AUTHORITY = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")


@dataclass(frozen=True)
class Certificates:
    """A certificate authority, and the certificate of a server and a client with its key. All are files."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Makes an authority and a certificate for `localhost` and 127.0.0.1 in a folder."""
    authority, authority_key = folder / "authority.pem", folder / "authority.key"
    certificate, key, request = folder / "server.pem", folder / "server.key", folder / "server.csr"
    extensions = folder / "extensions"
    extensions.write_text(EXTENSIONS)
    kind = ["-newkey", "rsa:2048", "-nodes"]
    _openssl("req", "-x509", *kind, "-subj", "/CN=authority", *AUTHORITY, "-keyout", authority_key, "-out", authority)
    _openssl("req", *kind, "-subj", "/CN=localhost", "-keyout", key, "-out", request)
    signer = ["-CA", authority, "-CAkey", authority_key, "-CAcreateserial"]
    _openssl("x509", "-req", "-in", request, *signer, "-extfile", extensions, "-out", certificate)
    return Certificates(authority, certificate, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
