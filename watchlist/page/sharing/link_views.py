"""A view with which a person makes and revokes the link of a list."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from watchlist.accounts.page_owner import require_same_owner
from watchlist.errors import NoSuchList
from watchlist.lists.rules import NamedList
from watchlist.lists.share_links import find_link, make_link
from watchlist.models import ShareLink
from watchlist.page.change_views import apply_change, find_list
from watchlist.page.context import own_lists
from watchlist.page.position import PagePosition, read_position


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_same_owner
def show_link(request: HttpRequest) -> HttpResponse:
    """Shows whether a list has a share link. A form makes or revokes the link.

    The field `do` of the form is `make` or `revoke`. Only the answer to `make` shows the address of the new link.

    The field `known` identifies the link that the list had when the form was shown. If the list now has a different
    link, nothing is changed. Therefore a form that is sent twice does not replace the new link.
    """
    position = read_position(request.POST if request.method == "POST" else request.GET)
    try:
        named_list = find_list(own_lists(request).read(), position)
    except NoSuchList as error:
        messages.error(request, str(error))
        return redirect("watchlist")
    context: dict[str, Any] = {"list": named_list, "position": PagePosition(named_list.key)}
    if request.method == "POST" and request.user.is_authenticated:
        context |= _change_link(request, named_list)
    link = _find_own_link(request, context["list"])
    return render(request, "watchlist/share.html", context | {"link": link, "known": identify_link(link)})


def _change_link(request: HttpRequest, named_list: NamedList) -> dict[str, Any]:
    """Makes or revokes the link of a list. Returns the values that the template shows of a new link."""
    link = _find_own_link(request, named_list)
    if request.POST.get("known", "") != identify_link(link):
        messages.error(request, "Nothing was changed: the link was made or revoked already. Its state is shown below.")
    elif request.POST.get("do") == "make":
        return _share(request, read_position(request.POST))
    elif request.POST.get("do") == "revoke" and link is not None:
        link.delete()
        messages.success(request, "The link is revoked. It shows nothing any more.")
    return {}


def _share(request: HttpRequest, position: PagePosition) -> dict[str, Any]:
    """Makes a link to the list. Returns the values that the template shows about the link."""
    # Stores the lists, because a link needs a stored list. The example list of a new account is not stored yet.
    stored = apply_change(request, lambda lists: lists)
    if stored is None:
        return {}
    named_list = find_list(stored, position)
    address = request.build_absolute_uri(reverse("shared-list", args=[make_link(named_list.key)]))
    return {"list": named_list, "position": PagePosition(named_list.key), "address": address}


def _find_own_link(request: HttpRequest, named_list: NamedList) -> ShareLink | None:
    return find_link(named_list.key, request.user.pk) if request.user.pk is not None else None


def identify_link(link: ShareLink | None) -> str:
    """Returns a text that differs for each link that a list has had. The text is empty if the list has no link."""
    return "" if link is None else f"{link.pk} {link.created.isoformat()}"
