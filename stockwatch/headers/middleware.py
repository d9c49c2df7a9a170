"""Defines middleware that adds security headers to the responses of Django."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from stockwatch.headers.policies import PERMISSIONS_POLICY

ALWAYS = {
    "Permissions-Policy": PERMISSIONS_POLICY,
    "X-DNS-Prefetch-Control": "off",
    "X-Permitted-Cross-Domain-Policies": "none",
}


class SecurityHeadersMiddleware(MiddlewareMixin):
    """Adds the security headers that neither Django nor django-csp sends. Keeps headers that a view has set."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        # Other origins may use static files: pages load them from a CDN, and other sites show the preview picture.
        is_static = request.path_info.startswith(settings.STATIC_PATH)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin" if is_static else "same-origin")
        return response
