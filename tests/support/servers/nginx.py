"""Runs nginx with the file docs/deploy/nginx.conf. Only its ports, paths and host names are replaced."""

import os
import shutil
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from stockwatch.local.redis_server import free_port
from tests.support.gateway.process import GatewayProcess
from tests.support.servers.certificates import make_certificates
from tests.support.servers.processes import is_open
from tests.support.waiting import wait_until

ORIGIN = "https://stocks.example.org"
"""The origin that the gateways behind nginx accept."""
DOCUMENTS = Path(__file__).resolve().parents[3] / "docs/deploy"
MAIN = """
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/main.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_read_timeout {seconds}s;
    proxy_send_timeout {seconds}s;
    include {folder}/stockwatch.conf;
}}
"""


def find_nginx() -> str:
    """Returns the path of nginx. Skips the test if nginx is not installed."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs nginx")
    return program


class Nginx:
    """nginx before programs on loopback. `ports` maps the documented ports 8081, 8082 and 8083 to the real ones.

    `seconds` are the timeouts of nginx, which the documented file leaves at nginx's default of 60 s.
    """

    def __init__(self, folder: Path, ports: Mapping[int, int], seconds: int) -> None:
        self._program = find_nginx()
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.address = f"https://localhost:{self.port}"
        certificates = make_certificates(folder)
        self.authority = certificates.authority
        self.tls = ssl.create_default_context(cafile=str(certificates.authority))
        replaced = {
            "/etc/ssl/stockwatch/fullchain.pem": str(certificates.certificate),
            "/etc/ssl/stockwatch/privkey.pem": str(certificates.key),
            "/var/log/stockwatch": str(folder),
            # Not every machine has IPv6.
            "[::]:80;": f"127.0.0.4:{self.plain_port};",
            "[::]:443 ": f"127.0.0.4:{self.port} ",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "stocks.example.org": "localhost",
            **{f"127.0.0.1:{documented} ": f"127.0.0.1:{real} " for documented, real in ports.items()},
        }
        text = (DOCUMENTS / "nginx.conf").read_text()
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        (folder / "stockwatch.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "main.conf").write_text(MAIN.format(user=user, folder=folder, seconds=seconds))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Nginx":
        with (self.folder / "output.log").open("wb") as output:
            self._process = subprocess.Popen(
                [self._program, "-p", str(self.folder), "-c", str(self.folder / "main.conf"), "-g", "daemon off;"],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: is_open(f"127.0.0.1:{self.port}"), 60, "a port of nginx")
        return self

    def reopen_logs(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def get(self, path: str) -> tuple[int, str]:
        """Requests a path over TLS. Returns the status and the body."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=60, context=self.tls) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def curl(self, path: str, *options: str) -> str:
        """Requests a path with curl over TLS. Returns the head and the body of the response."""
        command = ["curl", "--silent", "--include", "--max-time", "60", "--cacert", str(self.authority), *options]
        done = subprocess.run([*command, self.address + path], capture_output=True, text=True, check=True, timeout=90)
        return done.stdout


@dataclass(frozen=True)
class ProxiedSite:
    """The programs behind one nginx."""

    nginx: Nginx
    web: GatewayProcess
    gateways: tuple[GatewayProcess, GatewayProcess]
