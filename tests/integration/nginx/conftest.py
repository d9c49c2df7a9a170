"""A site behind nginx: `web` and two gateways, each in its own process, with one database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.gateway.process import GatewayProcess
from tests.support.servers.nginx import ORIGIN, Nginx, ProxiedSite, find_nginx


@pytest.fixture(scope="module")
def proxied_site(request, tmp_path_factory, ticker_database, redis_server) -> Iterator[ProxiedSite]:
    """The site, with the timeouts of nginx that the module of the test names."""
    find_nginx()
    folder = tmp_path_factory.mktemp("nginx")
    variables = {
        "APP_ENV": "test",
        "SECURE_COOKIES": "true",
        "HSTS_MAX_AGE": "1h",
        "ALLOWED_HOSTS": "localhost",
        "GATEWAY_ALLOWED_ORIGINS": ORIGIN,
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "METRICS_ALLOWED_NETWORKS": "127.0.0.3",
        "GATEWAY_TIMEOUTS_PING_PERIOD": "300ms",
        "GATEWAY_TIMEOUTS_PONG_WAIT": "60s",
        "DATABASE_URL": f"sqlite:///{folder}/site.sqlite3",
    }
    (folder / "site.sqlite3").write_bytes(ticker_database.read_bytes())
    programs = [GatewayProcess(folder, ticker_database, redis_server, "rungateway", **variables) for _ in range(3)]
    ports = {8081 + number: program.port for number, program in enumerate(programs)}
    nginx = Nginx(folder, ports, request.module.NGINX_TIMEOUT_SECONDS)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(GatewayProcess.start, programs))
        yield ProxiedSite(nginx.start(), programs[0], (programs[1], programs[2]))
    finally:
        nginx.stop()
        for program in programs:
            program.stop()
