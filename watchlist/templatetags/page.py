"""Template tags and filters of the page."""

from functools import cache

from django import template
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from watchlist.page.columns import write_age
from watchlist.page.context import MODULES
from watchlist.page.rows import Row
from watchlist.page.table_html import (
    alert_path,
    symbol_path,
    write_attributes,
    write_column_choices,
    write_headings,
    write_reference,
    write_suggestions,
    write_tabs,
)

register = template.Library()
register.simple_tag(alert_path)
register.simple_tag(symbol_path)
register.simple_tag(write_column_choices, name="column_choices")
register.simple_tag(write_headings, name="table_headings")
register.simple_tag(write_reference, name="reference_name")
register.simple_tag(write_tabs, name="list_tabs")
register.simple_tag(write_suggestions, name="suggested_options")
register.filter("data_attributes", write_attributes)


@register.filter
def age(row: Row) -> str:
    return write_age(row)


@register.simple_tag
@cache
def module_preloads() -> SafeString:
    """Returns an HTML link to each script in MODULES, so that the browser loads these scripts early."""
    # Cached, because the addresses of static files do not change while a process runs.
    return format_html_join("", '<link rel="modulepreload" href="{}">\n', ((static(name),) for name in MODULES))
