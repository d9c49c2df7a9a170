"""An asyncio version of `feeds.store.cluster.client`."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError

from feeds.store.cluster.client import MAX_REDIRECTIONS, REDIRECTED, REFRESH_SECONDS, UNANSWERED, first_reply
from feeds.store.cluster.slots import Node, SlotMap, command_slot

Arguments = tuple[Any, ...]


class AsyncClusterClient(redis.asyncio.Redis):
    """A client of a cluster, for one event loop. `open_node` returns a client of one node."""

    def __init__(self, slots: SlotMap, open_node: Callable[[Node], redis.asyncio.Redis]) -> None:
        self._nodes: dict[Node, redis.asyncio.Redis] = {}
        self._open_node = open_node
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")
        self.slots = slots
        super().__init__(connection_pool=open_node(slots.seeds[0]).connection_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Runs one command on the node that serves its key. Follows redirections."""
        slot = command_slot(args)
        if slot is None:
            return await self._run_on_all(args, options)
        for _ in range(MAX_REDIRECTIONS):
            node = await self.find_owner(slot)
            try:
                return await self.node_client(node).execute_command(*args, **options)
            except MovedError as error:
                self.slots.move(error.slot_id, Node(error.host or node.host, error.port))
            except AskError as error:
                return await self._ask(Node(error.host or node.host, error.port), args, options)
            except UNANSWERED:
                if not await self._has_new_owner(slot, node):
                    raise
        raise ClusterDownError(f"slot {slot} is redirected again and again")

    async def run_commands(self, commands: Sequence[Arguments]) -> list[Any]:
        """Runs commands, in one round trip per node. Returns a reply or an error for each command."""
        replies: list[Any] = [None] * len(commands)
        by_node: dict[Node, list[int]] = {}
        for place, args in enumerate(commands):
            try:
                by_node.setdefault(await self.find_owner(command_slot(args) or 0), []).append(place)
            except RedisError as error:
                replies[place] = error
        parts = [self._run_on_node(node, [commands[place] for place in places]) for node, places in by_node.items()]
        for places, part in zip(by_node.values(), await asyncio.gather(*parts), strict=True):
            for place, reply in zip(places, part, strict=True):
                replies[place] = reply
        return replies

    async def _run_on_node(self, node: Node, commands: list[Arguments]) -> list[Any]:
        pipe = self.node_client(node).pipeline(transaction=False)
        for args in commands:
            pipe.execute_command(*args)
        try:
            replies = await pipe.execute(raise_on_error=False)
        except RedisError as error:
            replies = [error] * len(commands)
        return [
            await self._repeat(args, node, reply) if isinstance(reply, (*UNANSWERED, *REDIRECTED)) else reply
            for args, reply in zip(commands, replies, strict=True)
        ]

    async def _repeat(self, args: Arguments, node: Node, error: RedisError) -> Any:
        """Repeats a command that failed on `node` with `error`. Returns the reply or an error.

        If `node` did not answer, repeats the command only if another node serves the slot now.
        """
        if isinstance(error, UNANSWERED) and not await self._has_new_owner(command_slot(args) or 0, node):
            return error
        if isinstance(error, MovedError):
            self.slots.move(error.slot_id, Node(error.host or node.host, error.port))
        try:
            return await self.execute_command(*args)
        except RedisError as again:
            return again

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        for client in self._nodes.values():
            await client.aclose()
        await super().aclose(close_connection_pool)

    def node_client(self, node: Node) -> Any:
        """Returns the client of one node."""
        client = self._nodes.get(node)
        if client is None:
            client = self._nodes[node] = self._open_node(node)
        return client

    async def find_owner(self, slot: int) -> Node:
        """Returns the node that serves a slot. Calls `refresh` first if the node is unknown.

        Raises RedisError if no node serves the slot, or if no node answers.
        """
        node = self.slots.owner(slot)
        if node is None:
            await self.refresh()
            node = self.slots.owner(slot)
        if node is None:
            raise ClusterDownError(f"no node serves slot {slot}{self.slots.fault}")
        return node

    async def refresh(self) -> None:
        """Asks the cluster which node serves each slot.

        Does nothing if the last call ended less than REFRESH_SECONDS ago. Raises RedisError if no node answers.
        """
        loop = asyncio.get_running_loop()
        # Callers at the same time share one request.
        if self._refreshing is None:
            if loop.time() < self._refreshed_at + REFRESH_SECONDS:
                return
            self._refreshing = loop.create_task(self._ask_for_slots())
            self._refreshing.add_done_callback(self._note_refreshed)
        await asyncio.shield(self._refreshing)

    def _note_refreshed(self, task: "asyncio.Task[None]") -> None:
        self._refreshing = None
        self._refreshed_at = asyncio.get_running_loop().time()
        if not task.cancelled():
            task.exception()  # Marks the error as seen: all callers may have been cancelled.

    async def _ask_for_slots(self) -> None:
        reply: Any = redis.ConnectionError("no node is known")
        for node in list(self.slots.known):
            reply = await self._try(node, "CLUSTER SLOTS")
            if self.slots.note_reply(node, reply):
                return
        raise reply

    async def _run_on_all(self, args: Arguments, options: dict[str, Any]) -> Any:
        """Runs a command without a key, such as `SCRIPT LOAD`, on all nodes that serve slots.

        Returns the first reply. Raises RedisError if no node replies.
        """
        await self.find_owner(0)
        return first_reply([await self._try(node, *args, **options) for node in self.slots.owners])

    async def _try(self, node: Node, *args: Any, **options: Any) -> Any:
        """Runs a command on a node. Returns the reply or the error."""
        try:
            return await self.node_client(node).execute_command(*args, **options)
        except RedisError as error:
            return error

    async def _ask(self, node: Node, args: Arguments, options: dict[str, Any]) -> Any:
        """Runs a command on `node` while the command's slot is being moved to `node`."""
        pipe = self.node_client(node).pipeline(transaction=False)
        pipe.execute_command("ASKING")
        pipe.execute_command(*args, **options)
        return (await pipe.execute())[1]

    async def _has_new_owner(self, slot: int, node: Node) -> bool:
        """Returns whether another node than `node` serves the slot now."""
        try:
            await self.refresh()
        except RedisError:
            return False
        return self.slots.owner(slot) not in {node, None}
