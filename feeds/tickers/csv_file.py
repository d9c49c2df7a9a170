"""Tickers as a CSV file for the admin, by django-import-export: symbol, name and what the generator makes of them."""

from typing import Any

from import_export import resources
from import_export.resources import Diff

from feeds.csv_cells import escape, unescape
from feeds.models import Ticker
from feeds.symbols import upper_case

COLUMNS = ("symbol", "name", "base_price", "volatility", "decimals", "active")


class PlainDiff(Diff):  # type: ignore[misc]
    """What an import would change, as text: the library's own carries styles that the content policy refuses."""

    def as_html(self) -> list[str]:
        pairs = zip(map(str, self.left), map(str, self.right), strict=True)
        return [right if self.new or left == right else f"{left} → {right}" for left, right in pairs]


class TickerResource(resources.ModelResource):  # type: ignore[misc]
    """One line a ticker, told apart by symbol; a line is judged as the admin's form judges it. Nothing is deleted."""

    class Meta:
        model = Ticker
        fields = COLUMNS
        export_order = COLUMNS
        import_id_fields = ("symbol",)
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True

    def get_diff_class(self) -> type[Diff]:
        return PlainDiff

    def dehydrate_name(self, ticker: Ticker) -> str:
        """With an apostrophe in front where a spreadsheet would run it; reading takes that away again."""
        return escape(ticker.name)

    def before_import_row(self, row: Any, **_kwargs: Any) -> None:
        row["symbol"] = upper_case(str(row.get("symbol") or ""))
        row["name"] = unescape(str(row.get("name") or ""))

    def import_instance(self, instance: Ticker, row: Any, **kwargs: Any) -> None:
        """Remembers the base price that was, for the ticker's history."""
        instance.former_price = instance.base_price  # type: ignore[attr-defined]
        super().import_instance(instance, row, **kwargs)
