"""What the page says about the last change: sentences, an undo, and choices where a name was not enough."""

from dataclasses import dataclass

from django.contrib.messages import get_messages
from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Notices:
    """`level` is success, info or error; `symbol` is what a choice adds when it is pressed."""

    text: str
    level: str
    undo: bool = False
    symbol: str = ""


def read_notices(request: HttpRequest) -> list[Notices]:
    """Takes the messages of the request: they are shown once, and what was said twice on the way here once too."""
    said = [
        Notices(
            str(message),
            message.level_tag,
            "undo" in message.extra_tags.split() if message.extra_tags else False,
            str(message).partition(" ")[0] if message.extra_tags == "choice" else "",
        )
        for message in get_messages(request)
    ]
    return list(dict.fromkeys(said))
