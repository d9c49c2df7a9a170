"""Shows the lists of all accounts in Django's admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from watchlist.models import Entry, Watchlist


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
