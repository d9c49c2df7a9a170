"""Shows the lists and alerts of all accounts in Django's admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from watchlist.models import Alert, Entry, Firing, Watchlist


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Entry
    extra = 0
    exclude = ("note",)  # a note is for its owner
    autocomplete_fields = ("ticker",)


@admin.register(Watchlist)
class WatchlistAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "owner", "symbols")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username", "entries__ticker__symbol")
    search_help_text = "Search by list, account or symbol."
    autocomplete_fields = ("owner",)
    inlines = (EntryInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Watchlist]:
        lists: QuerySet[Watchlist] = super().get_queryset(request)
        return lists.annotate(entry_count=Count("entries"))

    @admin.display(description="symbols", ordering="entry_count")
    def symbols(self, watchlist: Any) -> int:
        entry_count: int = watchlist.entry_count
        return entry_count


@admin.register(Alert)
class AlertAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "owner", "ticker", "kind", "level", "percent", "repeat", "state")
    list_filter = ("state", "kind")
    list_select_related = ("owner", "ticker")
    search_fields = ("owner__username", "ticker__symbol")
    search_help_text = "Search by account or symbol."
    autocomplete_fields = ("owner",)
    # `AccountAlerts` checks the condition and arms the alert at the quote; a form cannot.
    readonly_fields = ("ticker", "kind", "level", "percent", "repeat", "cooldown_seconds")

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Alert, form: Any, change: bool) -> None:
        obj.version += 1  # by these two, the alert engine notices the change
        obj.changed_at = timezone.now()
        super().save_model(request, obj, form, change)


@admin.register(Firing)
class FiringAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "alert", "price", "level", "late", "recorded_at")
    list_filter = ("late",)
    raw_id_fields = ("alert",)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Firing | None = None) -> bool:
        return False
