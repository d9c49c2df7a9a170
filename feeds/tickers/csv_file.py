"""Imports and exports tickers as CSV in the admin, with django-import-export."""

from typing import Any

from import_export import resources
from import_export.resources import Diff

from feeds.csv_cells import escape, unescape
from feeds.models import Ticker
from feeds.symbols import upper_case

COLUMNS = ("symbol", "name", "base_price", "volatility", "decimals", "active")


class TextDiff(Diff):  # type: ignore[misc]
    """Shows the changes of an import as plain text.

    The HTML of the library has styles, which the content security policy blocks.
    """

    def as_html(self) -> list[str]:
        pairs = zip(map(str, self.left), map(str, self.right), strict=True)
        return [right if self.new or left == right else f"{left} → {right}" for left, right in pairs]


class TickerResource(resources.ModelResource):  # type: ignore[misc]
    """Maps each line of a CSV file to the ticker with the same symbol.

    The validation is that of the admin's form. An import deletes no ticker.
    """

    class Meta:
        model = Ticker
        fields = COLUMNS
        export_order = COLUMNS
        import_id_fields = ("symbol",)
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True

    def get_diff_class(self) -> type[Diff]:
        return TextDiff

    def dehydrate_name(self, ticker: Ticker) -> str:
        """Returns the name, escaped if a spreadsheet would run it as a formula.

        `before_import_row` removes the escape.
        """
        return escape(ticker.name)

    def before_import_row(self, row: Any, **_kwargs: Any) -> None:
        row["symbol"] = upper_case(str(row.get("symbol") or ""))
        row["name"] = unescape(str(row.get("name") or ""))

    def import_instance(self, instance: Ticker, row: Any, **kwargs: Any) -> None:
        """Keeps the previous base price in the ticker, for the change log."""
        instance.previous_base_price = instance.base_price  # type: ignore[attr-defined]
        super().import_instance(instance, row, **kwargs)
