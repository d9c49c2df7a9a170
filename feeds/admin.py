"""Defines the admin pages of tickers. A ticker can be deleted only if it is switched off and in no watchlist."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Count, ProtectedError, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from import_export.admin import ImportExportModelAdmin
from import_export.formats.base_formats import CSV

from feeds.models import Ticker
from feeds.source_names import SIMULATED
from feeds.store.quote_reader import read_quotes
from feeds.tickers.concurrent_form import ConcurrentTickerForm, TickerFormSet
from feeds.tickers.csv_file import TickerResource
from feeds.tickers.deletion import reasons_to_keep
from feeds.tickers.natives import describe_namesake
from feeds.wire import Update, age_us

BASE_PRICE = "Base price"
"""The name of the field `base_price` in Django's change log."""

MAX_PRICE_CHANGES = 20
USE_COUNT_PREFIX = "uses_"


class FreshnessFilter(admin.SimpleListFilter):
    """Filters tickers by their quote: fresh, stale or missing."""

    title = "price"
    parameter_name = "price"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        return [("fresh", "Fresh"), ("stale", "Stale"), ("none", "None at all")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Ticker]) -> QuerySet[Ticker]:
        if self.value() not in {"fresh", "stale", "none"}:
            return queryset
        sources = dict(queryset.values_list("symbol", "source"))
        quotes = read_quotes(list(sources))
        if quotes is None:
            messages.warning(request, "Redis does not answer: prices are unknown now.")
            return queryset
        if self.value() == "none":
            return queryset.exclude(symbol__in=quotes)
        stale = [symbol for symbol, quote in quotes.items() if is_stale(quote, sources[symbol])]
        return queryset.filter(symbol__in=stale if self.value() == "stale" else set(quotes) - set(stale))


@admin.register(Ticker)
class TickerAdmin(ImportExportModelAdmin):  # type: ignore[misc]
    form = ConcurrentTickerForm
    resource_classes: ClassVar[list[type]] = [TickerResource]
    formats: ClassVar[list[type]] = [CSV]
    skip_export_form = True
    list_display = (
        "symbol",
        "name",
        "source",
        "last",
        "age",
        "use_count",
        "base_price",
        "volatility",
        "decimals",
        "active",
    )
    list_editable = ("name", "base_price", "volatility", "decimals", "active")
    list_filter = ("active", "source", FreshnessFilter)
    list_per_page = 100
    search_fields = ("symbol", "name")
    search_help_text = "Search by symbol or name."
    ordering = ("symbol",)
    actions = ("switch_on", "switch_off")
    fieldsets = (
        (None, {"fields": ("symbol", "name", "active")}),
        ("Source", {"fields": ("source", "native", "currency")}),
        ("Price", {"fields": ("base_price", "volatility", "decimals", "base_prices")}),
    )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["feeds/admin.css"]}

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, form=ConcurrentTickerForm, **kwargs)

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, formset=TickerFormSet, **kwargs)

    # --- Display ----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticker]:
        """Returns the tickers, and counts for each ticker the rows of other tables that refer to the ticker.

        The attribute `uses_0` of a ticker is the count for the first table, `uses_1` for the second table, and so on.
        """
        relations = [relation.get_accessor_name() for relation in Ticker._meta.related_objects]
        counts = {
            f"{USE_COUNT_PREFIX}{number}": Count(name, distinct=True) for number, name in enumerate(relations) if name
        }
        tickers: QuerySet[Ticker] = super().get_queryset(request)
        return tickers.annotate(**counts)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Stores the quote of each ticker on the page in `ticker.quote`; None if no quote was read."""
        changelist = super().get_changelist_instance(request)
        quotes = read_quotes([ticker.symbol for ticker in changelist.result_list])
        for ticker in changelist.result_list:
            ticker.quote = (quotes or {}).get(ticker.symbol)
        return changelist

    @admin.display(description="last")
    def last(self, ticker: Any) -> str:
        return "–" if ticker.quote is None else f"{ticker.quote.price:,.{ticker.decimals}f}"

    @admin.display(description="age")
    def age(self, ticker: Any) -> str:
        if ticker.quote is None:
            return "–"
        if (seconds := age_of(ticker.quote)) is None:
            return "unknown"
        age = format_age(seconds)
        return format_html('<span class="stale">stale {}</span>', age) if is_stale(ticker.quote, ticker.source) else age

    @admin.display(description="watched", ordering="uses_0")
    def use_count(self, ticker: Any) -> str:
        """Returns how many rows of other tables refer to the ticker, or a dash if there are none."""
        uses = sum(count for name, count in vars(ticker).items() if name.startswith(USE_COUNT_PREFIX))
        return str(uses) if uses else "–"

    @admin.display(description="Changes of the base price")
    def base_prices(self, ticker: Ticker) -> str:
        """Returns the last changes of a ticker's base price as an HTML list, newest first."""
        entries = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(Ticker),
            object_id=str(ticker.pk),
            change_message__contains=BASE_PRICE + " ",
        ).select_related("user")[:MAX_PRICE_CHANGES]
        times = (f"{entry.action_time:%Y-%m-%d %H:%M:%S} UTC" for entry in entries)
        lines = ((at, entry.user, entry.get_change_message()) for at, entry in zip(times, entries, strict=True))
        items = format_html_join("", "<li>{}, {}: {}</li>", lines)
        return format_html('<ul class="changes">{}</ul>', items) if items else "none yet"

    def get_readonly_fields(self, _request: HttpRequest, obj: Ticker | None = None) -> tuple[str, ...]:
        """Returns the names of the fields that cannot be edited. The symbol can be edited only in a new ticker."""
        # The symbol is the key of the ticker's updates in Kafka.
        return ("symbol", "base_prices") if obj else ("base_prices",)

    # --- Change log -------------------------------------------------------------------------------------------------

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Adds the old and the new base price to Django's message about a change."""
        message = super().construct_change_message(request, form, formsets, add)
        if not add and "base_price" in form.changed_data:
            change = describe_price_change(form.initial["base_price"], form.cleaned_data["base_price"])
            for part in message:
                fields = part.get("changed", {}).get("fields", [])
                fields[:] = [change if field == BASE_PRICE else field for field in fields]
        return message

    def generate_log_entries(self, result: Any, request: HttpRequest) -> None:
        """Writes the change log of an import, with the old and the new base prices."""
        for row in result.rows:
            if row.import_type == "new":
                self.log_addition(request, row.instance, [{"added": {}}])
            elif row.import_type == "update":
                previous, price = row.instance.previous_base_price, row.instance.base_price
                change = [describe_price_change(previous, price)] if previous != price else []
                self.log_change(request, row.instance, [{"changed": {"fields": ["Imported file", *change]}}])

    # --- Permissions and actions ------------------------------------------------------------------------------------

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
        changed = 0
        for ticker in queryset.exclude(active=active):
            ticker.active = active
            if reason := describe_namesake(ticker):
                self.message_user(request, f"{ticker} stays off. {reason}", messages.ERROR)
                continue
            ticker.save(update_fields=["active"])
            self.log_change(request, ticker, [{"changed": {"fields": ["Active"]}}])
            changed += 1
        self.message_user(request, f"Switched {'on' if active else 'off'}: {changed}.", messages.SUCCESS)

    # --- Deletion ---------------------------------------------------------------------------------------------------

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """Returns the four values that Django needs before it deletes tickers.

        The last value is a list of sentences that say why tickers must stay. If the list is not empty, Django deletes
        nothing.
        """
        to_delete, counts, lacking, _protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, lacking, [reason for ticker in objs for reason in reasons_to_keep(ticker)]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ProtectedError:  # another person added the ticker to a list after the check
            return self._refuse_deletion(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        try:
            # An action may delete several tickers. If one ticker is protected, all deletions are undone.
            with transaction.atomic() if request.method == "POST" else nullcontext():
                return super().changelist_view(request, extra_context)
        except ProtectedError:
            return self._refuse_deletion(request)

    def _refuse_deletion(self, request: HttpRequest) -> HttpResponse:
        self.message_user(
            request, "Nothing was deleted: a ticker came into use. Switch it off instead.", messages.ERROR
        )
        return HttpResponseRedirect(reverse("admin:feeds_ticker_changelist"))


def describe_price_change(previous: float, price: float) -> str:
    """Returns a text such as `Base price 224.1 → 230.0`."""
    return f"{BASE_PRICE} {previous!r} → {price!r}"


def age_of(update: Update) -> float | None:
    """Returns the age of an update in seconds, or None if the update's timestamp is in the future."""
    age = age_us(update.timestamp, time.time_ns() // 1000)
    return None if age is None else age / 1_000_000


def is_stale(update: Update, source: str) -> bool:
    """Returns whether a quote is simulated and older than the setting STALE_AFTER."""
    # A symbol of a real source may be traded rarely.
    return source == SIMULATED and (age_of(update) or 0.0) > float(settings.STALE_AFTER.total_seconds())


def format_age(seconds: float) -> str:
    """Returns an age as text, such as `90 s` or `5 min`."""
    for unit, length, limit in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds / length < limit:
            return f"{max(0, int(seconds / length))} {unit}"
    return f"{int(seconds / 86400)} d"
