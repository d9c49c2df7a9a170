"""`python -m stockwatch.probe URL`: exit 0 when a server answers there; for containers, which have no curl."""

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit


def answers(url: str, seconds: float = 4.0) -> bool:
    """True for any status below 500: `/readyz` says with 503 what is down.

    It asks as localhost, which hosts are allowed by default, and never through a proxy.
    """
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=seconds)
    try:
        connection.request("GET", place.path, headers={"Host": "localhost"})
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1]))
