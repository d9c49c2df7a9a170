"""Sends each Redis command to the node of a cluster that serves the command's slot.

A slot is one of the 16,384 parts into which a cluster divides its keys. The keys of one command must have the same
slot. Only an MGET may have keys with different slots. `ClusterClient` differs from redis-py's client for clusters:

- It supports only the commands that this project uses.
- It connects to a node only when it needs this node.
- It asks which node serves each slot only when the node for a command is unknown or does not answer.
- If a node does not answer, only the commands for this node fail.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis
from redis.client import Pipeline
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from feeds.store.cluster.slots import Node, SlotMap, command_slot

MAX_REDIRECTIONS = 5
REFRESH_SECONDS = 0.2
"""The shortest time, in seconds, between two requests that ask which node serves each slot."""

UNANSWERED = (redis.ConnectionError, redis.TimeoutError, ClusterDownError)
"""The errors of a node that is unreachable or cannot serve a slot. Another node may serve the slot now."""
REDIRECTED = (AskError, TryAgainError)
"""The errors of a slot that moves to another node. MovedError is included as a subclass of AskError."""

Command = tuple[tuple[Any, ...], dict[str, Any]]


class ClusterClient(redis.Redis):
    """A client of a cluster. Thread-safe.

    Several clients may share `slots`. `open_node` returns a client of one node.
    """

    def __init__(self, slots: SlotMap, open_node: Callable[[Node], redis.Redis]) -> None:
        self._nodes: dict[Node, redis.Redis] = {}
        self._open_node = open_node
        self._lock = threading.Lock()
        self._refreshed_at = float("-inf")
        self.slots = slots
        super().__init__(connection_pool=open_node(slots.seeds[0]).connection_pool)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Runs one command on the node that serves its key. Follows redirections."""
        slot = command_slot(args)
        if slot is None:
            return self._run_on_all(args, options)
        if args[0] == "MGET":
            [values] = self.run_commands([(args, options)])
            if isinstance(values, redis.RedisError):
                raise values
            return values
        for _ in range(MAX_REDIRECTIONS):
            node = self.find_owner(slot)
            try:
                return self.node_client(node).execute_command(*args, **options)
            except MovedError as error:
                self._follow_move(error, node)
            except AskError as error:
                return self._ask(Node(error.host or node.host, error.port), args, options)
            except UNANSWERED:
                if not self._has_new_owner(slot, node):
                    raise
        raise ClusterDownError(f"slot {slot} is redirected again and again")

    def pipeline(self, *_: Any, **__: Any) -> "ClusterPipeline":
        """Returns a pipeline. The pipeline is never a transaction."""
        # The commands may have different slots.
        return ClusterPipeline(self, self.connection_pool, self.response_callbacks, False, None)

    def run_commands(self, commands: Sequence[Command]) -> list[Any]:
        """Runs commands, in one round trip per node. Returns a reply or an error for each command."""
        commands, lengths = split_reads(commands)
        replies: list[Any] = [None] * len(commands)
        by_node: dict[Node, list[int]] = {}
        for place, (args, _) in enumerate(commands):
            try:
                by_node.setdefault(self.find_owner(command_slot(args) or 0), []).append(place)
            except redis.RedisError as error:
                replies[place] = error
        for node, places in by_node.items():
            part = self._run_on_node(node, [commands[place] for place in places])
            for place, reply in zip(places, part, strict=True):
                replies[place] = reply
        return join_reads(replies, lengths) if lengths else replies

    def _run_on_node(self, node: Node, commands: list[Command]) -> list[Any]:
        pipe = self.node_client(node).pipeline(transaction=False)
        for args, options in commands:
            pipe.execute_command(*args, **options)
        try:
            replies = pipe.execute(raise_on_error=False)
        except redis.RedisError as error:
            replies = [error] * len(commands)
        return [
            self._repeat(command, node, reply) if isinstance(reply, (*UNANSWERED, *REDIRECTED)) else reply
            for command, reply in zip(commands, replies, strict=True)
        ]

    def _repeat(self, command: Command, node: Node, error: redis.RedisError) -> Any:
        """Repeats a command that failed on `node` with `error`. Returns the reply or an error.

        If `node` did not answer, repeats the command only if another node serves the slot now.
        """
        args, options = command
        if isinstance(error, UNANSWERED) and not self._has_new_owner(command_slot(args) or 0, node):
            return error
        if isinstance(error, MovedError):
            self._follow_move(error, node)
        try:
            return self.execute_command(*args, **options)
        except redis.RedisError as again:
            return again

    def ping(self, **_: Any) -> bool:
        """Sends a PING to every node that serves slots.

        Raises the error of a node that does not answer, or ClusterDownError if a slot has no node.
        """
        self.refresh()
        if not self.slots.is_complete:
            raise ClusterDownError("no node serves some of the slots")
        return all(self.node_client(node).ping() for node in self.slots.owners)

    def lost_nodes(self) -> list[str]:
        """Returns the addresses of the nodes that serve slots and do not answer.

        If no node answers, returns the addresses of the nodes that the settings name.
        """
        try:
            self.refresh()
        except redis.RedisError:
            return [str(node) for node in self.slots.seeds]
        return [str(node) for node in self.slots.owners if not self._answers(node)]

    def _answers(self, node: Node) -> bool:
        try:
            return bool(self.node_client(node).ping())
        except redis.RedisError:
            return False

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        self.refresh()
        for node in self.slots.owners:
            yield from self.node_client(node).scan_iter(*args, **options)

    def close(self) -> None:
        for client in list(self._nodes.values()):
            client.close()
        super().close()

    def node_client(self, node: Node) -> Any:
        """Returns the client of one node."""
        with self._lock:
            client = self._nodes.get(node)
            if client is None:
                client = self._nodes[node] = self._open_node(node)
            return client

    def find_owner(self, slot: int) -> Node:
        """Returns the node that serves a slot. Calls `refresh` first if the node is unknown.

        Raises RedisError if no node serves the slot, or if no node answers.
        """
        node = self.slots.owner(slot)
        if node is None:
            self.refresh()
            node = self.slots.owner(slot)
        if node is None:
            raise ClusterDownError(f"no node serves slot {slot}{self.slots.fault}")
        return node

    def refresh(self) -> None:
        """Asks the cluster which node serves each slot.

        Does nothing if the last call was less than REFRESH_SECONDS ago. Raises RedisError if no node answers.
        """
        with self._lock:
            if time.monotonic() < self._refreshed_at + REFRESH_SECONDS:
                return
            self._refreshed_at = time.monotonic()
        reply: Any = redis.ConnectionError("no node is known")
        for node in list(self.slots.known):
            reply = self._try(node, "CLUSTER SLOTS")
            if self.slots.note_reply(node, reply):
                return
        raise reply

    def _run_on_all(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Runs a command without a key, such as `SCRIPT LOAD`, on all nodes that serve slots.

        Returns the first reply. Raises RedisError if no node replies.
        """
        self.find_owner(0)
        return first_reply([self._try(node, *args, **options) for node in self.slots.owners])

    def _try(self, node: Node, *args: Any, **options: Any) -> Any:
        """Runs a command on a node. Returns the reply or the error."""
        try:
            return self.node_client(node).execute_command(*args, **options)
        except redis.RedisError as error:
            return error

    def _ask(self, node: Node, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Runs a command on `node` while the command's slot is being moved to `node`."""
        pipe = self.node_client(node).pipeline(transaction=False)
        pipe.execute_command("ASKING")
        pipe.execute_command(*args, **options)
        return pipe.execute()[1]

    def _follow_move(self, error: MovedError, asked: Node) -> None:
        self.slots.move(error.slot_id, Node(error.host or asked.host, error.port))

    def _has_new_owner(self, slot: int, node: Node) -> bool:
        """Returns whether another node than `node` serves the slot now."""
        try:
            self.refresh()
        except redis.RedisError:
            return False
        return self.slots.owner(slot) not in {node, None}


def first_reply(replies: Sequence[Any]) -> Any:
    """Returns the first reply that is not an error. If all replies are errors, raises the last one."""
    for reply in replies:
        if not isinstance(reply, redis.RedisError):
            return reply
    raise replies[-1]


def split_reads(commands: Sequence[Command]) -> tuple[Sequence[Command], dict[int, int]]:
    """Replaces each MGET command by one GET command per key. Returns the new commands and a dict for `join_reads`.

    The dict has one item for each MGET. The key is the position of the first GET. The value is the number of GETs.
    """
    # The keys of an MGET may have different slots.
    if not any(args[0] == "MGET" for args, _ in commands):
        return commands, {}
    split: list[Command] = []
    lengths = {}
    for args, options in commands:
        if args[0] == "MGET":
            lengths[len(split)] = len(args) - 1
            split += [(("GET", key), {}) for key in args[1:]]
        else:
            split.append((args, options))
    return split, lengths


def join_reads(replies: Sequence[Any], lengths: Mapping[int, int]) -> list[Any]:
    """Turns the replies to the commands of `split_reads` into replies to the original commands.

    `lengths` is the dict that `split_reads` returned. The reply to an MGET is a list of values, or the first error.
    """
    joined: list[Any] = []
    place = 0
    while place < len(replies):
        length = lengths.get(place, 0)
        values = list(replies[place : place + length])
        error = next((value for value in values if isinstance(value, redis.RedisError)), values)
        joined.append(error if length else replies[place])
        place += length or 1
    return joined


class ClusterPipeline(Pipeline):
    """Collects commands for several nodes. `execute` sends the commands, in one round trip per node."""

    def __init__(self, cluster: ClusterClient, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._cluster = cluster

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Sends the commands. Returns the replies in the order of the commands.

        Raises the first error. If `raise_on_error` is false, returns errors among the replies.
        """
        commands, self.command_stack = self.command_stack, []
        replies = self._cluster.run_commands(commands)
        if raise_on_error:
            for reply in replies:
                if isinstance(reply, redis.RedisError):
                    raise reply
        return replies
