"""Computes the slots and tags of symbols in a Redis Cluster, and keeps which node serves each slot.

Pure: no I/O. A cluster divides its keys into 16,384 slots. The tag of a key is the text between its first braces. Keys
with the same tag have the same slot. Each symbol has one of 64 tags, for all its keys and its channel.
"""

from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

SLOTS = 16_384
# More tags would spread the symbols better over many nodes, but one batch would need more calls of the script.
TAGS = 64
TAG_LENGTH = 3
TAG_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
TAG_SLOTS = SLOTS // TAGS
PREFIX_LENGTH = TAG_LENGTH + len("{}.")
"""The length of the prefix `{tag}.` of each key and channel of a symbol."""

KEYLESS = frozenset({"PING", "INFO", "SCRIPT LOAD", "CLUSTER SLOTS", "SCAN"})
SCRIPTS = frozenset({"EVAL", "EVALSHA"})


def key_slot(key: bytes) -> int:
    """Returns the slot of a key or a channel."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def make_tags() -> tuple[str, ...]:
    """Returns 64 tags, evenly spread over the slots: one tag for each range of TAG_SLOTS slots.

    No tag may ever change, because the keys in Redis contain tags.
    """
    tags: dict[int, str] = {}
    names = map("".join, product(TAG_CHARACTERS, repeat=TAG_LENGTH))
    while len(tags) < TAGS:
        tag = next(names)
        tags.setdefault(key_slot(tag.encode()) // TAG_SLOTS, tag)
    return tuple(tags[number] for number in range(TAGS))


TAG_PREFIXES = tuple(f"{{{tag}}}." for tag in make_tags())
SLOT_OF_TAG = tuple(key_slot(prefix.encode()) for prefix in TAG_PREFIXES)


@lru_cache(maxsize=1 << 16)
def tag_number(symbol: str) -> int:
    """Returns the number of the symbol's tag, from 0 to 63."""
    return crc_hqx(symbol.encode(), 0) % SLOTS // TAG_SLOTS


def tag_prefix(symbol: str) -> str:
    """Returns the prefix `{tag}.` of a symbol's keys and channel in a cluster."""
    return TAG_PREFIXES[tag_number(symbol)]


def command_slot(arguments: Sequence[Any]) -> int | None:
    """Returns the slot of a command's first key, or None if the command has no key.

    `arguments` begins with the name of the command. Only the commands that this project uses are supported.
    """
    name = arguments[0]
    if name in KEYLESS:
        return None
    key = arguments[3] if name in SCRIPTS else arguments[1]
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


class Node(NamedTuple):
    """The address of a node."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class SlotMap:
    """Knows which node serves each slot. Threads may share a SlotMap.

    `version` grows with each change. `seeds` are the nodes that the settings name. `known` holds all known nodes. The
    node that answered last comes first.
    """

    def __init__(self, seeds: Iterable[Node]) -> None:
        self.seeds = tuple(seeds)
        self.known = list(self.seeds)
        self.version = 0
        self.fault = ""
        self._owners: list[Node | None] = [None] * SLOTS

    def owner(self, slot: int) -> Node | None:
        """Returns the node that serves a slot, or None if this node is unknown."""
        return self._owners[slot]

    @property
    def owners(self) -> list[Node]:
        """All nodes that serve slots, in the order of their first slots."""
        return [node for node in dict.fromkeys(self._owners) if node is not None]

    @property
    def is_complete(self) -> bool:
        """Whether the node of each slot is known."""
        return None not in self._owners

    def move(self, slot: int, node: Node) -> None:
        """Notes that a node serves a slot now."""
        if self._owners[slot] != node:
            self._owners[slot] = node
            self.version += 1
            if node not in self.known:
                self.known = [*self.known, node]

    def replace(self, reply: Iterable[Sequence[Any]], asked: Node) -> None:
        """Builds the map anew from a reply to the command CLUSTER SLOTS. The node `asked` has sent the reply.

        Each item of the reply is a list: first slot, last slot, master, replicas. A node is a list that begins with
        host and port.
        """
        owners: list[Node | None] = [None] * SLOTS
        known = dict.fromkeys([asked])
        for first, last, *nodes in reply:
            named = [_read_node(node, asked) for node in nodes]
            owners[first : last + 1] = [named[0]] * (last + 1 - first)
            known.update(dict.fromkeys(named))
        self.known = list(known | dict.fromkeys(self.seeds))
        if owners != self._owners:
            self._owners = owners
            self.version += 1

    def note_reply(self, node: Node, reply: Any) -> bool:
        """Replaces the map by a node's reply to CLUSTER SLOTS. Returns False if `reply` is an error.

        An error moves the node to the end of `known`. `fault` then holds the error, as the end of an error message. A
        valid reply empties `fault`.
        """
        if isinstance(reply, Exception):
            self.put_last(node)
            self.fault = f", because the nodes do not tell their slots: {reply}"
            return False
        self.replace(reply, node)
        self.fault = ""
        return True

    def put_last(self, node: Node) -> None:
        """Moves a node that did not answer to the end of `known`."""
        self.known = [each for each in self.known if each != node] + [node]


def _read_node(node: Sequence[Any], asked: Node) -> Node:
    # An empty host stands for the host of the asked node.
    host = node[0].decode() if isinstance(node[0], bytes) else node[0]
    return Node(asked.host if host in {None, "", "?"} else host, int(node[1]))
