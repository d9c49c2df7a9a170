"""The addresses of the page and of accounts."""

from django.contrib.auth.views import LogoutView
from django.templatetags.static import static
from django.urls import path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from watchlist import views

urlpatterns = [
    path("", views.show_watchlist, name="watchlist"),
    path("list/add/", views.add_symbol, name="add-symbol"),
    path("list/remove/", views.remove_symbol, name="remove-symbol"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(http_method_names=["post", "options"]), name="sign-out"),
    # Browsers ask for it on pages that name no icon, such as the admin's.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("watchlist/icon.svg"))),
]
