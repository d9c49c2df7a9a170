"""Maps addresses to the views of the watchlist page, accounts and the HTTP API."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import (
    LogoutView,
    PasswordResetCompleteView,
    PasswordResetDoneView,
)
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, path
from django.utils.functional import lazy
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from watchlist.accounts import delivery_views as delivery
from watchlist.accounts import token_views as tokens
from watchlist.accounts import views as accounts
from watchlist.accounts.sign_in_limit import limit_attempts, limit_password_checks
from watchlist.api import views as api
from watchlist.api.chart_views import show_chart
from watchlist.api.v1 import pages as api_pages
from watchlist.api.v1.api import api as api_v1
from watchlist.page import audit_views as audit
from watchlist.page import change_views as changes
from watchlist.page import transfer_views as transfer
from watchlist.page import views
from watchlist.page.alerts.history_views import show_history
from watchlist.page.alerts.list_views import change_alert, show_alerts
from watchlist.page.alerts.new_views import show_new_alert
from watchlist.page.column_views import change_columns
from watchlist.page.levels.views import move_level, show_levels
from watchlist.page.notes.views import change_note
from watchlist.page.sharing.link_views import show_link
from watchlist.page.sharing.shared_views import copy_shared_list, show_shared_list

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.show_watchlist, name="watchlist"),
    path("s/<path:symbol>", views.show_symbol, name="symbol"),
    path("list/add/", changes.add_symbols, name="add-symbols"),
    path("list/change/", changes.change_list, name="change-list"),
    path("lists/change/", changes.change_tabs, name="change-tabs"),
    path("list/columns/", change_columns, name="change-columns"),
    path("list/note/", change_note, name="change-note"),
    path("list/share/", show_link, name="share-list"),
    path("shared/<str:token>", show_shared_list, name="shared-list"),
    path("shared/<str:token>/copy/", copy_shared_list, name="copy-shared-list"),
    path("alerts/levels/", show_levels, name="levels"),
    path("alerts/levels/move/", move_level, name="move-level"),
    path("undo/", changes.undo_change, name="undo"),
    path("transfer/", transfer.show_transfer, name="transfer"),
    path("transfer/lists.csv", transfer.export_lists, name="export"),
    path("transfer/preview/", transfer.preview_import, name="import-preview"),
    path("transfer/import/", transfer.import_lists, name="import"),
    path("alerts/", show_alerts, name="alerts"),
    path("alerts/new/", show_new_alert, name="new-alert"),
    path("alerts/change/", change_alert, name="change-alert"),
    path("alerts/history/", show_history, name="alert-history"),
    path("feeds/audit", audit.show_audit, name="audit"),
    path("api/quotes", api.show_quotes, name="api-quotes"),
    path("api/days", api.show_days, name="api-days"),
    path("api/bars/<path:symbol>", api.show_bars, name="api-bars"),
    path("api/search", api.show_matches, name="api-search"),
    path("api/v1/docs", api_pages.show_docs, name="api-docs"),
    path("api/v1/openapi.json", api_pages.show_document, name="openapi"),
    path("api/v1/", api_v1.urls),
    path("llms.txt", api_pages.show_llms, name="llms"),
    path("v8/finance/chart/<path:spelling>", show_chart, name="dashboard-chart"),
    path("sign-up/", accounts.sign_up, name="sign-up"),
    path("sign-in/", never_cache(limit_attempts(accounts.SignIn.as_view())), name="sign-in"),
    path("sign-out/", LogoutView.as_view(http_method_names=["post", "options"]), name="sign-out"),
    path("settings/", accounts.show_settings, name="settings"),
    path("settings/look/", accounts.change_appearance, name="change-look"),
    path("settings/email/", accounts.change_email, name="change-email"),
    path("settings/delivery/", delivery.show_delivery, name="delivery"),
    path("settings/delivery/stop/<str:token>/", delivery.stop_emails, name="stop-emails"),
    path("settings/tokens/", tokens.show_tokens, name="tokens"),
    path("settings/tokens/revoke/", tokens.revoke, name="revoke-token"),
    path(
        "settings/password/",
        never_cache(limit_password_checks(accounts.PasswordChange.as_view())),
        name="password-change",
    ),
    path("settings/delete/", accounts.delete_account, name="delete-account"),
    path("password/", never_cache(accounts.PasswordReset.as_view()), name="password-reset"),
    path(
        "password/sent/",
        never_cache(PasswordResetDoneView.as_view(template_name="watchlist/password_reset_sent.html")),
        name="password-reset-sent",
    ),
    path(
        "password/<uidb64>/<token>/",
        never_cache(accounts.PasswordResetConfirm.as_view()),
        name="password_reset_confirm",
    ),
    path(
        "password/done/",
        never_cache(PasswordResetCompleteView.as_view(template_name="watchlist/password_reset_done.html")),
        name="password-reset-done",
    ),
    # Browsers request this address for pages without an icon link, such as the admin's.
    path("favicon.ico", login_not_required(RedirectView.as_view(url=lazy(static, str)("watchlist/icon.svg")))),
]
