"""Operations that share a list of the account by a link, and revoke the link."""

import msgspec
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router

from watchlist.api.responses import JSON
from watchlist.api.v1.access import LIST_ACCESS, owner_of
from watchlist.api.v1.answers import answer_json
from watchlist.api.v1.list_changes import describe_list
from watchlist.api.v1.lists import begin_change
from watchlist.api.v1.schemas import LinkInfo, NewLink
from watchlist.formatting.moments import to_microseconds
from watchlist.lists.share_links import find_link, make_link

router = Router(auth=LIST_ACCESS, tags=["lists"])


@router.get("/lists/{int:list_id}/link", response=LinkInfo, summary="Read the link of a list", operation_id="readLink")
def read_link(request: HttpRequest, list_id: int) -> HttpResponse:
    """Says whether a link shows the list to everyone who has the link. The link itself is not stored."""
    owner = owner_of(request)
    describe_list(owner, list_id)
    link = find_link(list_id, owner.pk)
    return answer_json(request, {"created": None if link is None else to_microseconds(link.created)})


@router.post(
    "/lists/{int:list_id}/link", response={201: NewLink}, summary="Share a list by a link", operation_id="makeLink"
)
def share_list(request: HttpRequest, list_id: int) -> HttpResponse:
    """Makes a link that shows the list read-only and live, without notes.

    The link is shown in this answer only. A link that the list had before ends.
    """
    change = begin_change(request)
    with transaction.atomic():  # the account stays locked, so that no other request deletes the list meanwhile
        change.apply(list_id, lambda lists: lists)
        token = make_link(change.key)
    address = request.build_absolute_uri(reverse("shared-list", args=[token]))
    response = HttpResponse(
        msgspec.json.encode({"address": address, "list": change.key}), status=201, content_type=JSON
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@router.delete(
    "/lists/{int:list_id}/link", response={204: None}, summary="Revoke the link of a list", operation_id="revokeLink"
)
def revoke_link(request: HttpRequest, list_id: int) -> HttpResponse:
    """Ends the access by the link within a second, even for open pages. A list without a link stays as it is."""
    owner = owner_of(request)
    begin_change(request).require(list_id)
    link = find_link(list_id, owner.pk)
    if link is not None:
        link.delete()
    return HttpResponse(status=204)
