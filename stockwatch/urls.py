"""Routes all URLs of the project: the page, the admin, health checks and metrics."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.utils.functional import lazy

from stockwatch.health import show_alive, show_metrics, show_ready
from watchlist.accounts.forms import AdminSignInForm
from watchlist.accounts.sign_in_limit import limit_attempts, limit_password_checks
from watchlist.page.site import write_admin_header

admin.site.site_header = lazy(write_admin_header, str)()
admin.site.site_title = "stockwatch admin"
admin.site.login_form = AdminSignInForm
admin.site.index_title = "Tickers, lists and accounts"

handler500 = "watchlist.middleware.show_error"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("watchlist.urls")),
    path("admin/login/", limit_attempts(admin.site.login)),
    path("admin/password_change/", limit_password_checks(admin.site.admin_view(admin.site.password_change))),
    path("admin/", admin.site.urls),
    path("livez", show_alive),
    path("readyz", show_ready),
    path("metrics", show_metrics),
]
