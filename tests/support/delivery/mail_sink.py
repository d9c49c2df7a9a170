"""A mail server on a real socket that keeps the e-mails it gets."""

import socket
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.support.delivery.listener import Listener

SIMPLE_ANSWERS = {"EHLO": "250 mail.test", "HELO": "250 mail.test", "MAIL": "250 OK", "RSET": "250 OK"}


class MailSink(Listener):
    """Accepts every e-mail. It answers RCPT with the line `recipient`, and DATA's text with `accepted`."""

    def __init__(self, recipient: str = "250 OK", accepted: str = "250 OK") -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self._recipient, self._accepted = recipient, accepted
        super().__init__("127.0.0.1")

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rwb") as file:
            _say(file, "220 mail.test")
            while line := file.readline().decode().strip():
                word = line[:4].upper()
                _say(file, "221 bye" if word == "QUIT" else self._answer(word, line, file))

    def _answer(self, word: str, line: str, file) -> str:
        if word == "RCPT":
            self.recipients.append(line.partition(":")[2])
            return self._recipient
        if word == "DATA":
            _say(file, "354 go on")
            self.mails.append(message_from_bytes(_read_text(file), policy=policy.default))
            return self._accepted
        return SIMPLE_ANSWERS.get(word, "502 unknown")


def _say(file, line: str) -> None:
    file.write(f"{line}\r\n".encode())
    file.flush()


def _read_text(file) -> bytes:
    lines = []
    while (line := file.readline()) not in (b".\r\n", b""):
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)
