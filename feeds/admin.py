"""The admin of tickers: the source of truth that generator and gateway follow within a second.

A ticker in use is switched off, not deleted. What uses one is found through the database's own relations, for this app
does not know who is downstream.
"""

import time
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
from feeds.store.quote_reader import read_newest
from feeds.tickers.csv_file import TickerResource
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
class TickerAdmin(ImportExportModelAdmin):  # type: ignore[misc]
    resource_classes: ClassVar[list[type]] = [TickerResource]
    formats: ClassVar[list[type]] = [CSV]
    skip_export_form = True
    list_display = ("symbol", "name", "last", "age", "watched", "base_price", "volatility", "decimals", "active")
    list_editable = ("name", "base_price", "volatility", "decimals", "active")
    list_filter = ("active", FreshnessFilter)
    list_per_page = 100
    search_fields = ("symbol", "name")
    search_help_text = "Search by symbol or name."
    ordering = ("symbol",)
    actions = ("switch_on", "switch_off")
    fieldsets = (
        (None, {"fields": ("symbol", "name", "active")}),
        ("Simulated price", {"fields": ("base_price", "volatility", "decimals", "base_prices")}),
    )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["feeds/admin.css"]}

    # --- What is shown ----------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticker]:
        relations = [relation.get_accessor_name() for relation in Ticker._meta.related_objects]
        counts = {f"uses_{number}": Count(name, distinct=True) for number, name in enumerate(relations) if name}
        tickers: QuerySet[Ticker] = super().get_queryset(request)
        return tickers.annotate(**counts)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Reads the newest prices of the page's tickers at once."""
        changelist = super().get_changelist_instance(request)
        updates = read_newest([ticker.symbol for ticker in changelist.result_list])
        for ticker in changelist.result_list:
            ticker.newest = (updates or {}).get(ticker.symbol)
        return changelist

    @admin.display(description="last")
    def last(self, ticker: Any) -> str:
        return "–" if ticker.newest is None else f"{ticker.newest.price:,.{ticker.decimals}f}"

    @admin.display(description="age")
    def age(self, ticker: Any) -> str:
        if ticker.newest is None:
            return "–"
        age = age_of(ticker.newest)
        if age <= settings.STALE_AFTER.total_seconds():
            return write_age(age)
        return format_html('<span class="stale">stale {}</span>', write_age(age))

    @admin.display(description="watched", ordering="uses_0")
    def watched(self, ticker: Any) -> str:
        """On how many lists it is."""
        uses = sum(count for name, count in vars(ticker).items() if name.startswith("uses_"))
        return str(uses) if uses else "–"

    @admin.display(description="Changes of the base price")
    def base_prices(self, ticker: Ticker) -> str:
        """The newest first: when, by whom, from what to what."""
        entries = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(Ticker),
            object_id=str(ticker.pk),
            change_message__contains=BASE_PRICE + " ",
        ).select_related("user")[:MOST_CHANGES]
        moments = (f"{entry.action_time:%Y-%m-%d %H:%M:%S} UTC" for entry in entries)
        lines = ((at, entry.user, entry.get_change_message()) for at, entry in zip(moments, entries, strict=True))
        items = format_html_join("", "<li>{}, {}: {}</li>", lines)
        return format_html('<ul class="changes">{}</ul>', items) if items else "none yet"

    def get_readonly_fields(self, _request: HttpRequest, obj: Ticker | None = None) -> tuple[str, ...]:
        """The symbol is the key of every price that was ever sent: another symbol is another ticker."""
        return ("symbol", "base_prices") if obj else ("base_prices",)

    # --- What is written down ---------------------------------------------------------------------------------------

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Django's own, with the prices beside the words «Base price»."""
        message = super().construct_change_message(request, form, formsets, add)
        if not add and "base_price" in form.changed_data:
            said = say_price(form.initial["base_price"], form.cleaned_data["base_price"])
            for part in message:
                fields = part.get("changed", {}).get("fields", [])
                fields[:] = [said if field == BASE_PRICE else field for field in fields]
        return message

    def generate_log_entries(self, result: Any, request: HttpRequest) -> None:
        """Of an import: the library's own say nothing of prices."""
        for row in result.rows:
            if row.import_type == "new":
                self.log_addition(request, row.instance, [{"added": {}}])
            elif row.import_type == "update":
                former, price = row.instance.former_price, row.instance.base_price
                fields = ["Imported file", *([say_price(former, price)] if former != price else [])]
                self.log_change(request, row.instance, [{"changed": {"fields": fields}}])

    # --- What may be done -------------------------------------------------------------------------------------------

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_add_permission(request) and self.has_change_permission(request))

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

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

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ProtectedError:  # somebody began to watch it after it was checked
            return self._refuse(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
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


def say_price(former: float, price: float) -> str:
    """`Base price 224.1 → 230.0`."""
    return f"{BASE_PRICE} {former!r} → {price!r}"


def age_of(update: Update) -> float:
    """Seconds since the update was made."""
    return time.time() - update.timestamp / 1_000_000


def write_age(seconds: float) -> str:
    """In the largest unit that still says enough, as on the page."""
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds / length < most:
            return f"{max(0, int(seconds / length))} {unit}"
    return f"{int(seconds / 86400)} d"
