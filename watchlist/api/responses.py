"""Builds the responses of the HTTP API, with ETags and errors."""

import hashlib

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control
from django.utils.http import parse_etags, quote_etag

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"


def respond(request: HttpRequest, body: bytes, content_type: str = JSON, version: str = "") -> HttpResponse:
    """Returns a response with the body and an ETag, or a 304 without a body if the client already has the body.

    The ETag is `version`. If `version` is empty, the ETag is a hash of the body.
    """
    etag = quote_etag(version or hashlib.blake2b(body, digest_size=12).hexdigest())
    known = parse_etags(request.headers.get("If-None-Match", ""))
    is_same = "*" in known or etag in {each.removeprefix("W/") for each in known}  # a proxy that compresses adds W/
    response = HttpResponseNotModified() if is_same else HttpResponse(body, content_type=content_type)
    response.headers["ETag"] = etag
    is_private = settings.PRIVATE or getattr(request, "api_token", None) is not None
    patch_cache_control(response, **{"private" if is_private else "public": True}, no_cache=True)
    return response


def refuse(message: str, status: int) -> HttpResponse:
    """Returns an error response `{"error": message}`, the form of errors outside of `/api/v1`."""
    response = HttpResponse(msgspec.json.encode({"error": message}), status=status, content_type=JSON)
    patch_cache_control(response, no_store=True)
    return response
