"""Imports and exports tickers as CSV in the admin, with django-import-export."""

from typing import Any

from django.core.exceptions import ValidationError
from import_export import resources
from import_export.resources import Diff
from import_export.results import Error
from import_export.widgets import BooleanWidget, IntegerWidget

from feeds.csv_cells import escape, unescape
from feeds.models import Ticker
from feeds.symbols import upper_case
from feeds.tickers.csv_values import read_whole_number, read_yes_or_no
from feeds.tickers.natives import describe_namesake

COLUMNS = ("symbol", "name", "base_price", "volatility", "decimals", "active", "source", "native", "currency")
ESCAPED_COLUMNS = ("name", "native")
"""The columns with free text. `escape` makes their cells safe for spreadsheets."""


class PlainError(Error):  # type: ignore[misc]
    """An error that is shown without a traceback."""

    # The class `Error` of django-import-export shows a traceback with paths of the server.
    traceback = ""


class YesOrNoWidget(BooleanWidget):  # type: ignore[misc]
    """Refuses a word that is neither yes nor no."""

    def clean(self, value: Any, *_args: Any, **_kwargs: Any) -> bool | None:
        # The BooleanWidget of django-import-export reads an unknown word as no.
        return None if value in self.NULL_VALUES else read_yes_or_no(str(value))


class WholeNumberWidget(IntegerWidget):  # type: ignore[misc]
    """Refuses a number with a fraction. The IntegerWidget of django-import-export removes the fraction."""

    def clean(self, value: Any, *_args: Any, **_kwargs: Any) -> int | None:
        return None if self.is_empty(value) else read_whole_number(str(value))


class TextDiff(Diff):  # type: ignore[misc]
    """Shows the changes of an import as plain text."""

    def as_html(self) -> list[str]:
        # The HTML of django-import-export contains inline styles, which the content security policy blocks.
        pairs = zip(map(str, self.left), map(str, self.right), strict=True)
        return [right if self.new or left == right else f"{left} → {right}" for left, right in pairs]


class TickerResource(resources.ModelResource):  # type: ignore[misc]
    """Maps each line of a CSV file to the ticker with the same symbol.

    Values are validated by the rules of the admin's form. An import deletes no ticker.
    """

    active = resources.Field(attribute="active", column_name="active", widget=YesOrNoWidget())
    decimals = resources.Field(attribute="decimals", column_name="decimals", widget=WholeNumberWidget())

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

    @classmethod
    def get_error_result_class(cls) -> type[Error]:
        return PlainError

    def before_import(self, dataset: Any, **_kwargs: Any) -> None:
        """Turns column names into lower case.

        Raises ValueError if the column `symbol` is missing, or if a column is there twice.
        """
        headers = [(header or "").strip("\N{BYTE ORDER MARK} ").lower() for header in dataset.headers or ()]
        if "symbol" not in headers:
            raise ValueError(f"The first line must name the columns: symbol, and any of {', '.join(COLUMNS[1:])}.")
        if twice := [header for header in COLUMNS if headers.count(header) > 1]:
            raise ValueError(f"The column {twice[0]} is there twice.")
        dataset.headers = headers

    def dehydrate_name(self, ticker: Ticker) -> str:
        """Returns the ticker's name, escaped if a spreadsheet would run the name as a formula."""
        return escape(ticker.name)

    def dehydrate_native(self, ticker: Ticker) -> str:
        """Returns the native symbol, escaped like the name."""
        return escape(ticker.native)

    def before_import_row(self, row: Any, **_kwargs: Any) -> None:
        row["symbol"] = upper_case(str(row.get("symbol") or ""))
        for column in ESCAPED_COLUMNS:
            if column in row:  # a file without this column leaves its values as they are
                row[column] = unescape(str(row[column] or ""))

    def validate_instance(self, instance: Ticker, *args: Any, **kwargs: Any) -> None:
        """Validates a ticker. Also refuses a native symbol that another active ticker of the same source has."""
        super().validate_instance(instance, *args, **kwargs)
        if reason := describe_namesake(instance):
            raise ValidationError({"native": reason})

    def import_instance(self, instance: Ticker, row: Any, **kwargs: Any) -> None:
        """Imports a row of the file into a ticker. First notes the ticker's earlier base price for the change log."""
        instance.previous_base_price = instance.base_price  # type: ignore[attr-defined]
        super().import_instance(instance, row, **kwargs)
