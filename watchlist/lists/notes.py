"""Checks the notes that people write about the symbols of their lists. Pure."""

from watchlist.errors import BadNote
from watchlist.lists.visibility import is_visible

MAX_NOTE_LENGTH = 200
MAX_TYPED_LENGTH = 4 * MAX_NOTE_LENGTH
"""The maximum length of a note as the person typed it.

MAX_NOTE_LENGTH limits the note after unneeded spaces are removed.
"""


def check_note(text: str) -> str:
    """Returns the note with single spaces. An empty result means that there is no note.

    Raises BadNote if the text is too long or contains invisible characters.
    """
    note = " ".join(text.split()) if len(text) <= MAX_TYPED_LENGTH else text
    if len(note) > MAX_NOTE_LENGTH:
        raise BadNote(f"A note can have {MAX_NOTE_LENGTH} characters. This one has {len(note)}.")
    if not is_visible(note):
        raise BadNote("A note cannot contain invisible characters.")
    return note
