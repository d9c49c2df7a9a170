"""`python -m stockwatch.probe URL`: exits with 0 if the URL answers with status 200, and with 1 if not.

Container health checks use this module, because the image has no curl.
"""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit


def is_healthy(url: str, timeout: float = 4.0, host_header: str = "localhost") -> bool:
    """Returns whether a GET request to `url` gets status 200 within `timeout` seconds.

    A redirect counts as a failure. `host_header` is the host name in the request. Django answers only host names in
    ALLOWED_HOSTS.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path, headers={"Host": host_header})
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_healthy(sys.argv[1]))
