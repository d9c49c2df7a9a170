"""Builds the policies that responses give browsers. Pure."""

from urllib.parse import urlsplit

Directives = dict[str, list[str] | bool]

# `autoplay` is not listed, because alerts can play a sound. Names that Chromium does not know are not listed, because
# Chromium logs a warning for each of them.
UNUSED_FEATURES = (
    *("accelerometer", "camera", "clipboard-read", "display-capture", "encrypted-media", "fullscreen", "gamepad"),
    *("geolocation", "gyroscope", "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment"),
    *("picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial", "usb"),
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY = ", ".join(["autoplay=(self)", *(f"{name}=()" for name in UNUSED_FEATURES)])
"""The value of the header Permissions-Policy: pages may play sounds, and may use none of UNUSED_FEATURES."""


def build_content_policy(static_url: str, socket_origin: str, upgrade: bool) -> Directives:
    """Returns the directives of the Content-Security-Policy.

    `static_url` is the path or the URL of the static files. `socket_origin` is the origin to which pages open their
    sockets. An empty `socket_origin` means the host of the page. If `upgrade` is true, browsers request all parts of a
    page over HTTPS.
    """
    files = ["'self'", *_read_origin(static_url)]
    sockets = ["'self'", *([to_socket_origin(socket_origin)] if socket_origin else [])]
    return {
        "default-src": ["'self'"],
        "script-src": files,
        "style-src": files,
        "img-src": [*files, "data:"],
        "connect-src": sockets,
        "form-action": ["'self'"],
        **{name: ["'none'"] for name in ("frame-ancestors", "base-uri", "object-src")},
        **({"upgrade-insecure-requests": True} if upgrade else {}),
    }


def to_socket_origin(origin: str) -> str:
    """Returns the WebSocket form of an origin: `wss://live.example.org` for `https://live.example.org`."""
    return origin.replace("http", "ws", 1)


def _read_origin(url: str) -> list[str]:
    parts = urlsplit(url)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
