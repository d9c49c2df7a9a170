"""All addresses of the project: the page, the admin, and what operators ask."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from stockwatch.health import show_alive, show_metrics, show_ready

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("livez", show_alive),
    path("readyz", show_ready),
    path("metrics", show_metrics),
]
