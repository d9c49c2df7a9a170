"""People's lists in the admin, to look after them: who watches what."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from watchlist.models import Entry, Watchlist


class EntryInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Entry
    extra = 0
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
        return lists.annotate(counted=Count("entries"))

    @admin.display(description="symbols", ordering="counted")
    def symbols(self, watchlist: Any) -> int:
        counted: int = watchlist.counted
        return counted
