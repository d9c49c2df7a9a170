"""Reads the variables of an environment file such as `.env`.

Pure: the caller reads the file. A malformed file raises BadEnvironmentFile, which ends the program with one line of
output. No value from the file appears in this line, because a value may be a secret.
"""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

MAX_BYTES = 1024 * 1024
UTF_8_MARK = b"\xef\xbb\xbf"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LINE_END = re.compile(r"\r\n|\r|\n")
ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z0-9_]+)\s*=\s*(.*)", re.DOTALL)
QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"\s*(?:#.*)?|'([^']*)'\s*(?:#.*)?""", re.DOTALL)
COMMENT = re.compile(r"(?:^|\s+)#.*", re.DOTALL)
ESCAPE = re.compile(r"\\([^rnt])")
"""An escape whose backslash is removed. Escapes of line ends and tabs stay unchanged, as in django-environ."""


class BadEnvironmentFile(SystemExit):
    """The environment file cannot be used.

    The error ends the program with exit status 1. Its text is the one line that the operator sees.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"stockwatch: {file}{reason}")


def parse_variables(content: bytes, file: str) -> dict[str, str]:
    """Returns a dict from the name of each variable to its value. Raises BadEnvironmentFile.

    `file` is the name of the file for error messages. A line is empty, a comment, `NAME=value` or `export NAME=value`.

    - White space around name and value is ignored.
    - A value may be in single or double quotes.
    - Outside quotes, a `#` begins a comment if it is the first character, or follows white space or the closing quote.
    - If a name occurs twice, the last value counts.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(LINE_END.split(decode(content, file)), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = ASSIGNMENT.fullmatch(text)
        if not found:
            raise BadEnvironmentFile(
                file, f" line {number} is not NAME=value: a name consists of letters, digits and _; # begins a comment"
            )
        variables[found[1]] = parse_value(found[2], file, number, found[1])
    return variables


def find_unknown(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Returns a dict that maps each unknown name to the most similar known name, or to an empty text.

    An entry of `known` that ends with `*` matches all names that begin with the text before the `*`.
    """
    prefixes = tuple(name.removesuffix("*") for name in known if name.endswith("*"))
    unknown = [name for name in names if name not in known and not (prefixes and name.startswith(prefixes))]
    return {name: next(iter(get_close_matches(name, known, 1)), "") for name in unknown}


def parse_value(text: str, file: str, number: int, name: str) -> str:
    """Returns the value of a variable without quotes, comment and surrounding white space.

    `text` is the part of the line after `=`. Raises BadEnvironmentFile if the closing quote is missing, or if other
    text than a comment follows it.
    """
    if not text.startswith(('"', "'")):
        return COMMENT.sub("", text, count=1)
    found = QUOTED.fullmatch(text)
    if not found:
        raise BadEnvironmentFile(
            file, f" line {number}: the quotes of {name} do not end the value: write NAME='value', or escape with \\"
        )
    return found[2] if found[1] is None else ESCAPE.sub(r"\1", found[1])


def decode(content: bytes, file: str) -> str:
    """Returns the text of a file in UTF-8, without a byte order mark.

    Raises BadEnvironmentFile if the file is too large or not UTF-8.
    """
    if len(content) > MAX_BYTES:
        raise BadEnvironmentFile(file, f" is larger than {MAX_BYTES} bytes: it must hold lines NAME=value only")
    if content.startswith(UTF_16_MARKS) or b"\0" in content:
        number = 1 if content.startswith(UTF_16_MARKS) else _line_number(content, content.index(b"\0"))
        raise BadEnvironmentFile(file, f" line {number} is UTF-16, or contains a null byte: save the file as UTF-8")
    try:
        return content.removeprefix(UTF_8_MARK).decode()
    except UnicodeDecodeError as error:
        # Counted in the file without the mark, which is part of the first line.
        number = _line_number(content.removeprefix(UTF_8_MARK), error.start)
        raise BadEnvironmentFile(
            file, f" line {number} is not UTF-8 but probably Latin-1 (Windows-1252): save the file as UTF-8"
        ) from None


def _line_number(content: bytes, position: int) -> int:
    return len(LINE_END.split(content[:position].decode("latin-1")))
