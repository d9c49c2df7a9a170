"""The admin of tickers: the source of truth that generator and gateway follow within a second.

A ticker in use is switched off, not deleted. What uses one is found through the database's own protection, for this
app does not know who is downstream.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import NestedObjects
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Count, ProtectedError, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from import_export.admin import ImportExportModelAdmin
from import_export.formats.base_formats import CSV

from feeds.models import Ticker
from feeds.newest import read_newest
from feeds.sheets import TickerResource
from feeds.wire import Update

BASE_PRICE = "Base price"
"""The field as the log of changes names it."""
MOST_CHANGES = 20


class FreshnessFilter(admin.SimpleListFilter):
    """By the age of the newest price."""

    title = "price"
    parameter_name = "price"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("fresh", "Fresh"), ("stale", "Stale"), ("none", "None at all")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Ticker]) -> QuerySet[Ticker]:
        if self.value() not in {"fresh", "stale", "none"}:
            return queryset
        updates = read_newest(list(queryset.values_list("symbol", flat=True)))
        if updates is None:
            messages.warning(request, "Redis does not answer: nothing is known of prices now.")
            return queryset
        if self.value() == "none":
            return queryset.exclude(symbol__in=updates)
        stale = [symbol for symbol, update in updates.items() if age_of(update) > settings.STALE_AFTER.total_seconds()]
        return queryset.filter(symbol__in=stale if self.value() == "stale" else set(updates) - set(stale))


@admin.register(Ticker)
class TickerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("symbol", "name", "base_price", "volatility", "decimals", "active")
    list_editable = ("name", "base_price", "volatility", "decimals", "active")
    list_filter = ("active",)
    list_per_page = 100
    search_fields = ("symbol", "name")
    search_help_text = "Search by symbol or name."
    ordering = ("symbol",)
    actions = ("switch_on", "switch_off")
    fieldsets = (
        (None, {"fields": ("symbol", "name", "active")}),
        ("Simulated price", {"fields": ("base_price", "volatility", "decimals")}),
    )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["feeds/admin.css"]}

    def get_readonly_fields(self, _request: HttpRequest, obj: Ticker | None = None) -> tuple[str, ...]:
        """The symbol is the key of every price that was ever sent: another symbol is another ticker."""
        return ("symbol",) if obj else ()

    @admin.action(description="Switch on selected tickers", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Ticker]) -> None:
        self._switch(request, queryset, active=True)

    @admin.action(description="Switch off selected tickers", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Ticker]) -> None:
        self._switch(request, queryset, active=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Ticker], active: bool) -> None:
        changed = list(queryset.exclude(active=active))
        for ticker in changed:
            ticker.active = active
            ticker.save(update_fields=["active"])
            self.log_change(request, ticker, [{"changed": {"fields": ["Active"]}}])
        self.message_user(request, f"Switched {'on' if active else 'off'}: {len(changed)}.", messages.SUCCESS)

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """Adds to what the database protects every reason of ours, as sentences; any of them stops the deletion."""
        to_delete, counts, lacking, _protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, lacking, [reason for ticker in objs for reason in reasons_to_keep(ticker)]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ProtectedError:  # somebody began to watch it after it was checked
            return self._refuse(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        try:
            # All that an action deleted and logged until it met the protection is undone with it.
            with transaction.atomic() if request.method == "POST" else nullcontext():
                return super().changelist_view(request, extra_context)
        except ProtectedError:
            return self._refuse(request)

    def _refuse(self, request: HttpRequest) -> HttpResponse:
        self.message_user(
            request, "Nothing was deleted: a ticker came into use. Switch it off instead.", messages.ERROR
        )
        return HttpResponseRedirect(reverse("admin:feeds_ticker_changelist"))


def reasons_to_keep(ticker: Ticker) -> Iterable[str]:
    """Why this ticker must not be deleted; nothing when it is switched off and unused."""
    if ticker.active:
        yield f"{ticker} is active."
    collector = NestedObjects(using=ticker._state.db or "default")
    collector.collect([ticker])
    if users := len(collector.protected):
        kind = next(iter(collector.protected))._meta
        yield f"{ticker} is used by {users} {kind.verbose_name if users == 1 else kind.verbose_name_plural}."
