"""Template tags that render a part of a page once, and use the text in all later pages.

    {% kept theme=appearance.theme %}
    <a href="{% url 'settings' %}">{{ theme }}</a> {% fresh %}{{ user.get_username }}{% endfresh %}
    {% endkept %}

The part from `kept` to `endkept` is rendered once for each value of `theme`. This part can use only the variables that
the tag `kept` names. The part from `fresh` to `endfresh` is rendered for each page, and can use all variables of the
page. A fresh part cannot use a variable that a loop or `with` sets inside the kept part.
"""

import re
import secrets
from typing import Any

from django.template import Context, Library, Node, NodeList, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.template.loader_tags import BlockNode
from django.urls import get_script_prefix
from django.utils.safestring import SafeString

register = Library()

KEPT_TEXTS = 64
"""The maximum number of kept texts of one part."""

FRESH_PARTS = "fresh parts"
"""The variable that collects the fresh parts in a kept part. Templates cannot name a variable with a space."""

MARK = secrets.token_hex(16)
"""Stands for a fresh part in the kept text. MARK is random, so that no value contains it."""
MARK_PATTERN = re.compile(MARK + r"(\d+);")


class FreshNode(Node):
    """A part that is rendered for each page."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        fresh_parts: list[FreshNode] | None = context.get(FRESH_PARTS)
        if fresh_parts is None:
            return self.nodelist.render(context)
        fresh_parts.append(self)
        return SafeString(f"{MARK}{len(fresh_parts) - 1};")


class KeptNode(Node):
    """The part from `kept` to `endkept`.

    `_kept` maps the values of the variables to the rendered text, as a list of strings and fresh parts.
    """

    def __init__(self, variables: dict[str, FilterExpression], nodelist: NodeList) -> None:
        self.nodelist = nodelist
        self._variables = variables
        self._kept: dict[tuple[Any, ...], list[str | FreshNode]] = {}

    def render(self, context: Context) -> SafeString:
        values = tuple([variable.resolve(context, ignore_failures=True) for variable in self._variables.values()])
        # Equal values of different types, such as a text and safe HTML, can be shown differently. A request can set the
        # prefix of all addresses.
        key = (get_script_prefix(), *values, *map(type, values))
        pieces = self._kept.get(key)
        if pieces is None:
            pieces = self._render_once(context.new(dict(zip(self._variables, values, strict=True))))
            if len(self._kept) >= KEPT_TEXTS:
                self._kept.clear()
            self._kept[key] = pieces
        return SafeString("".join([piece if isinstance(piece, str) else piece.render(context) for piece in pieces]))

    def _render_once(self, context: Context) -> list[str | FreshNode]:
        fresh_parts: list[FreshNode] = []
        context[FRESH_PARTS] = fresh_parts
        parts = MARK_PATTERN.split(str(self.nodelist.render(context)))
        # The pattern has a group. Therefore texts and numbers of fresh parts alternate.
        return [fresh_parts[int(part)] if place % 2 else part for place, part in enumerate(parts)]


@register.tag
def kept(parser: Parser, token: Token) -> KeptNode:
    """Compiles `{% kept name=value … %}`."""
    bits = token.split_contents()[1:]
    variables = token_kwargs(bits, parser)
    if bits:
        raise TemplateSyntaxError(f"write each variable of a kept part as name=value, unlike {bits[0]}")
    nodelist = parser.parse(("endkept",))
    parser.delete_first_token()
    if nodelist.get_nodes_by_type(BlockNode):
        raise TemplateSyntaxError("a kept part cannot contain a block, because other templates can replace it")
    return KeptNode(variables, nodelist)


@register.tag
def fresh(parser: Parser, _token: Token) -> FreshNode:
    """Compiles `{% fresh %}`."""
    nodelist = parser.parse(("endfresh",))
    parser.delete_first_token()
    return FreshNode(nodelist)
