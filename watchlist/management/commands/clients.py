"""`manage.py clients`: lists the connections of all gateway processes, and closes those of a client."""

import json
import re
from argparse import ArgumentParser
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network
from typing import Any

import durationpy
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from feeds.errors import StoreUnavailable
from feeds.store.connection import PIPELINE, connect
from watchlist.errors import WatchlistError
from watchlist.gateway.clients.listing import ClientEntry
from watchlist.gateway.clients.requests import ClientRequests, Listing
from watchlist.gateway.clients.table import Owners, format_table, list_rows
from watchlist.gateway.closing.kicks import ACCOUNT, TOKEN
from watchlist.models import ApiToken

WAIT_SECONDS = 5.0
DURATION = re.compile(r"([0-9]{1,6}(h|m|s))+")
LONGEST_SECONDS = 7 * 86_400
TOKEN_NAME = re.compile(r"token:[0-9]{1,18}")
ADDRESS = "address:"  # no user name contains a colon


class Command(BaseCommand):
    help = "Lists all gateway processes and their connections. --kick closes those of an address, account or token."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--kick", metavar="CLIENT", help="close and refuse an IP address, a user name, or token:ID")
        choice.add_argument("--allow", metavar="CLIENT", help="end the refusal of an address, a user name or a token")
        parser.add_argument("--for", dest="duration", default="10m", help="how long to refuse: 30s, 10m or 24h")
        parser.add_argument("--json", action="store_true", dest="as_json", help="write one JSON object")

    def handle(
        self, *_args: Any, kick: str | None, allow: str | None, duration: str, as_json: bool, **_options: Any
    ) -> None:
        client = connect(settings.REDIS, PIPELINE)
        requests = ClientRequests(client)
        try:
            if kick is not None:
                self._kick(requests, find_subjects(kick), kick, read_seconds(duration))
            elif allow is not None:
                ended = requests.allow(find_subjects(allow))
                self.stdout.write(f"{allow} is refused no longer" if ended else f"{allow} was not refused")
            else:
                self._show(requests.list_clients(WAIT_SECONDS), as_json)
        except (StoreUnavailable, WatchlistError) as error:
            raise CommandError(str(error)) from error
        finally:
            client.close()

    def _kick(self, requests: ClientRequests, subjects: list[str], name: str, seconds: int) -> None:
        requests.refuse(subjects, seconds)
        self.stdout.write(f"{name} is refused for {seconds} s; its connections are closed within about a second")

    def _show(self, listing: Listing, as_json: bool) -> None:
        rows = list_rows(
            listing.replies, read_owners([entry for reply in listing.replies.values() for entry in reply.clients])
        )
        if as_json:
            processes = {name: reply.total for name, reply in sorted(listing.replies.items())}
            total = sum(processes.values())
            answer = {"total": total, "processes": processes, "missing": listing.missing, "clients": rows}
            self.stdout.write(json.dumps(answer))
            return
        self.stdout.write(format_table(listing.replies, listing.missing, rows))


def read_seconds(text: str) -> int:
    """Returns the seconds of a duration such as `10m`. Raises CommandError."""
    if not DURATION.fullmatch(text):
        raise CommandError(f"--for {text[:20]} cannot be used: write 30s, 10m or 24h", returncode=2)
    seconds = int(durationpy.from_str(text).total_seconds())
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise CommandError("--for must be from 1s to 168h", returncode=2)
    return seconds


def find_subjects(name: str) -> list[str]:
    """Returns the texts by which the gateway refuses a client, such as `address:203.0.113.9`.

    `name` is an IP address, a user name, or the id of a personal token, such as `token:12`. The prefix `address:` or
    `account:` says which of the first two it is. Raises CommandError if `name` is none of them, if `name` is a network,
    or an address and a user name, or if the database fails.
    """
    if TOKEN_NAME.fullmatch(name):
        return [find_token_subject(name)]
    if name.startswith(ACCOUNT):
        return find_account_subjects(name.removeprefix(ACCOUNT))
    text = name.removeprefix(ADDRESS)
    try:
        address = ip_interface(text)
    except ValueError:
        return find_account_subjects(name)
    if text == name and is_user_name(name):
        raise CommandError(
            f"{name} is an IP address and a user name: write address:{name} or account:{name}", returncode=2
        )
    return [find_address_subject(address, name)]


def find_address_subject(address: IPv4Interface | IPv6Interface, name: str) -> str:
    """Returns the text for an address. Raises CommandError if `name` is a network of several clients."""
    exact = getattr(address.ip, "ipv4_mapped", None) or address.ip
    # The gateway counts all clients of a /64 network of IPv6 as one address.
    is_shared = exact.version == 6
    if address.network.prefixlen < (64 if is_shared else address.max_prefixlen):
        raise CommandError(
            f"{name} is a network: name one address, or the /64 network of an IPv6 address", returncode=2
        )
    return f"address:{ip_network((int(exact), 64), strict=False) if is_shared else exact}"


def is_user_name(name: str) -> bool:
    """Returns whether an account has this user name. Returns False if the database fails."""
    try:
        return bool(get_user_model().objects.filter(username=name).exists())
    except DatabaseError:
        return False


def find_account_subjects(name: str) -> list[str]:
    """Returns the text for the account with this user name, such as `account:7`.

    Raises CommandError if no account has the name, or if the database fails.
    """
    try:
        user = get_user_model().objects.filter(username=name).first()
    except DatabaseError as error:
        raise CommandError(f"the database does not answer, so only an IP address can be used ({error})") from error
    if user is None:
        raise CommandError(f"{name} is neither an IP address nor a user name nor a token:ID", returncode=2)
    return [f"account:{user.pk}"]


def find_token_subject(name: str) -> str:
    """Returns the text for one personal token. `name` is `token:` and its id.

    Raises CommandError if no token has the id, or if the database fails.
    """
    number = int(name.removeprefix(TOKEN))
    try:
        exists = ApiToken.objects.filter(pk=number).exists()
    except DatabaseError as error:
        raise CommandError(f"the database does not answer, so only an IP address can be used ({error})") from error
    if not exists:
        raise CommandError(f"no personal token has the id {number}", returncode=2)
    return f"{TOKEN}{number}"


def read_owners(entries: list[ClientEntry]) -> Owners:
    """Returns the user names for the accounts and tokens in `entries`. Returns no names if the database fails."""
    try:
        tokens = ApiToken.objects.filter(pk__in={entry.token for entry in entries if entry.token is not None})
        by_token = dict(tokens.values_list("pk", "owner__username"))
        users = get_user_model().objects.filter(
            pk__in={entry.account for entry in entries if entry.account is not None}
        )
        return Owners(dict(users.values_list("pk", "username")), by_token)
    except DatabaseError:
        return Owners({}, {})
