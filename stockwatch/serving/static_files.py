"""Defines the middleware that answers requests for static files."""

from collections.abc import Callable

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from servestatic.middleware import ServeStaticMiddleware

NO_FILE = HttpResponse()
"""The response of ServeStatic if no file has the requested path."""


async def find_no_file(_request: HttpRequest) -> HttpResponseBase:
    return NO_FILE


class StaticFilesMiddleware:
    """Answers requests for static files with ServeStatic, and passes on all other requests."""

    # With ServeStatic's own middleware, each request would switch from the thread to the event loop and back.
    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._files = ServeStaticMiddleware(find_no_file)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(self._files.static_prefix):
            response: HttpResponseBase = async_to_sync(self._files)(request)
            if response is not NO_FILE:
                return response
        return self._get_response(request)
