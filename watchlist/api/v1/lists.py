"""Operations that read and change the lists of the account to which the token belongs."""

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils.http import quote_etag
from ninja import Path, Router
from ninja.errors import HttpError

from feeds.symbols import upper_case
from watchlist.api.responses import JSON
from watchlist.api.v1.access import LIST_ACCESS, owner_of
from watchlist.api.v1.answers import answer_json
from watchlist.api.v1.list_changes import ListChange, describe_entries, describe_list, describe_lists
from watchlist.api.v1.queries import SymbolInput
from watchlist.api.v1.schemas import (
    ChangedList,
    Entries,
    EntryChanges,
    ListChanges,
    ListInfo,
    Lists,
    NewEntries,
    NewList,
)
from watchlist.errors import BadName, BadNote
from watchlist.lists.notes import check_note
from watchlist.lists.rules import check_name

router = Router(auth=LIST_ACCESS, tags=["lists"])


@router.get("/lists", response=Lists, summary="Read all lists", operation_id="readLists")
def read_lists(request: HttpRequest) -> HttpResponse:
    """Returns the lists of the account in the person's order."""
    return answer_json(request, {"lists": describe_lists(owner_of(request))})


@router.post("/lists", response={201: ChangedList}, summary="Create a list", operation_id="createList")
def create_list(request: HttpRequest, values: NewList) -> HttpResponse:
    """Creates a list at the end. Symbols that cannot be added are in `errors`."""
    _check_name(values.name)
    change = ListChange(owner_of(request))
    change.create(values.name, values.symbols)
    response = _answer_change(change, 201)
    response.headers["Location"] = f"{request.path}/{change.key}"
    return response


@router.get("/lists/{int:list_id}", response=ListInfo, summary="Read a list", operation_id="readList")
def read_list(request: HttpRequest, list_id: int) -> HttpResponse:
    """Returns one list. The ETag of a stored list is its version."""
    found = describe_list(owner_of(request), list_id)
    # The example, which is not stored, has the version 0. Its symbols change with the served tickers.
    return answer_json(request, found, version=str(found["version"] or ""))


@router.patch(
    "/lists/{int:list_id}",
    response=ChangedList,
    summary="Change a list",
    operation_id="changeList",
)
def change_list(request: HttpRequest, list_id: int, values: ListChanges) -> HttpResponse:
    """Changes the name, the symbols or the position of a list. Symbols that cannot be added are in `errors`."""
    if values.name is not None:
        _check_name(values.name)
    change = begin_change(request)
    change.set_values(list_id, values.name, values.symbols, values.position)
    return _answer_change(change)


@router.delete(
    "/lists/{int:list_id}",
    response={204: None},
    summary="Delete a list",
    operation_id="deleteList",
)
def delete_list(request: HttpRequest, list_id: int) -> HttpResponse:
    """Deletes a list. The only list of an account cannot be deleted."""
    begin_change(request).apply(list_id, lambda lists: lists.delete(list_id))
    return HttpResponse(status=204)


@router.get(
    "/lists/{int:list_id}/entries",
    response=Entries,
    summary="Read the symbols and notes of a list",
    operation_id="readEntries",
)
def read_entries(request: HttpRequest, list_id: int) -> HttpResponse:
    """Returns the symbols of a list with the notes about them, in the person's order."""
    return answer_json(request, {"entries": describe_entries(owner_of(request), list_id)})


@router.post(
    "/lists/{int:list_id}/entries",
    response=ChangedList,
    summary="Add symbols to a list",
    operation_id="addEntries",
)
def add_entries(request: HttpRequest, list_id: int, values: NewEntries) -> HttpResponse:
    """Adds symbols to a list. Symbols that cannot be added are in `errors`."""
    change = begin_change(request)
    change.add(list_id, values.symbols, values.position)
    return _answer_change(change)


@router.patch(
    "/lists/{int:list_id}/entries/{path:symbol}",
    response=ChangedList,
    summary="Change a symbol of a list",
    operation_id="changeEntry",
)
def change_entry(request: HttpRequest, list_id: int, symbol: Path[SymbolInput], values: EntryChanges) -> HttpResponse:
    """Moves a symbol to another position of the list, and changes the note about it. An empty note is removed."""
    if values.note is not None:
        _check_note(values.note)
    change = begin_change(request)
    change.set_entry(list_id, upper_case(symbol), values.position, values.note)
    return _answer_change(change)


@router.delete(
    "/lists/{int:list_id}/entries/{path:symbol}",
    response=ChangedList,
    summary="Remove a symbol from a list",
    operation_id="removeEntry",
)
def remove_entry(request: HttpRequest, list_id: int, symbol: Path[SymbolInput]) -> HttpResponse:
    """Removes a symbol from a list."""
    name, change = upper_case(symbol), begin_change(request)
    change.apply(list_id, lambda lists: lists.replace(lists.find(list_id).remove(name)))
    return _answer_change(change)


def begin_change(request: HttpRequest) -> ListChange:
    """Returns a change of a list of the request's account, with the versions in the header If-Match.

    A version without quotes is accepted too, because `version` in an answer is a plain number.
    """
    header = request.headers.get("If-Match", "*")
    versions = [each.strip().removeprefix("W/").strip('"') for each in header.split(",")]
    return ListChange(owner_of(request), None if "*" in versions else versions)


def _answer_change(change: ListChange, status: int = 200) -> HttpResponse:
    described = describe_list(change.owner, change.key)
    body = msgspec.json.encode({"list": described, "errors": change.errors})
    response = HttpResponse(body, status=status, content_type=JSON)
    response.headers["ETag"] = quote_etag(str(described["version"]))
    response.headers["Cache-Control"] = "no-store"
    return response


def _check_name(name: str) -> None:
    """Raises HttpError 422 for a name that no list can have. Does not check whether another list has the name."""
    try:
        check_name(name, ())
    except BadName as error:
        raise HttpError(422, str(error)) from error


def _check_note(note: str) -> None:
    """Raises HttpError 422 for a note that no symbol can have."""
    try:
        check_note(note)
    except BadNote as error:
        raise HttpError(422, str(error)) from error
