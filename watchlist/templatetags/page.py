"""What templates of the page need beyond Django's own: a symbol's address, and an inline sparkline."""

from urllib.parse import quote

from django import template

register = template.Library()


@register.simple_tag
def symbol_path(symbol: str, query: str = "") -> str:
    """`/s/BTC/USD?list=3`: a slash stays one, `^` and the rest of what addresses may not hold is escaped."""
    return f"/s/{quote(symbol, safe='/=')}" + (f"?{query}" if query else "")
