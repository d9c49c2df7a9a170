"""The channel layer `prices` for a Redis Cluster.

The group `prices.AAPL` is the sharded channel `{tag}.prices.AAPL`. Only one node sends the messages of a channel, so
the layer has a connection to each node with a joined channel. A task finds out the node of each channel every few
seconds and after each failure. Then the task subscribes to each channel at its node.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import RedisError

from feeds.store.cluster.async_client import AsyncClusterClient
from feeds.store.cluster.slots import PREFIX_LENGTH, Node, SlotMap, key_slot, tag_prefix
from feeds.store.connection import SUBSCRIBER, connect_async, node_address
from feeds.wire import channel_symbol
from watchlist.gateway.fanout.ending import end_tasks
from watchlist.gateway.fanout.node_subscriber import NodeSubscriber
from watchlist.gateway.fanout.price_layer import Receiver

CONFIRM_SECONDS = 5.0
"""How long a node may take to confirm a subscription. After this time, the connection to the node is dropped."""
RETRY_SECONDS = 0.25
"""The wait between two attempts to subscribe, while a joined channel has no confirmed subscription."""
REFRESH_SECONDS = 5.0
"""The interval at which the slot map is read while nothing fails."""


class ClusterChannelLayer:
    """Implements `PriceLayer` for a Redis Cluster.

    `nodes` are pairs of host and port. `options` are the other keys of the cluster's address.

    Serves one event loop at a time.
    """

    def __init__(self, nodes: Sequence[tuple[str, int]], **options: Any) -> None:
        self._address = {"nodes": tuple(nodes), **options}
        self._client: AsyncClusterClient | None = None
        self._slots: SlotMap
        self._changed: asyncio.Event
        self._placing: asyncio.Task[None]
        self._wanted: dict[bytes, int] = {}
        """The slot of each joined channel."""
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._missing: set[bytes] = set()
        """Joined channels whose subscription was confirmed, and has then ended."""
        self._subscribers: dict[Node, NodeSubscriber] = {}
        self._stale = True
        self._receiver: Receiver = lambda _channel, _data: None
        self._on_disconnect: Callable[[], None] = lambda: None
        self._on_reconnect: Callable[[], None] = lambda: None

    @property
    def lost_nodes(self) -> list[str]:
        """The addresses of unreachable nodes with joined channels, such as `10.0.0.1:6379`."""
        return [str(node) for node, subscriber in self._subscribers.items() if subscriber.failures]

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        self._receiver, self._on_disconnect, self._on_reconnect = receiver, on_disconnect, on_reconnect

    async def new_channel(self) -> str:
        return "prices"

    async def group_add(self, group: str, channel: str) -> None:  # noqa: ARG002
        self._start()
        name = _channel_of(group)
        if name in self._wanted and name not in self._waiting and name not in self._missing:
            return
        slot = key_slot(name)
        owner = self._slots.owner(slot)
        if owner in self._subscribers and self._subscribers[owner].failures:
            raise ConnectionError(f"{owner} cannot be reached")  # at once, so that other groups do not wait
        self._wanted[name] = slot
        waiting = self._waiting.setdefault(name, asyncio.get_running_loop().create_future())
        self._changed.set()
        try:
            await self._wait_confirmed(name, waiting)
        except BaseException:
            if self._waiting.get(name) is waiting:
                self._forget(name)
            raise

    async def _wait_confirmed(self, name: bytes, waiting: "asyncio.Future[None]") -> None:
        # Waits twice: if this process is blocked during the first wait, the second wait reads the reply.
        for _ in range(2):
            await asyncio.wait({waiting}, timeout=CONFIRM_SECONDS / 2)
            if waiting.done():
                return waiting.result()
        owner = self._slots.owner(self._wanted.get(name, 0))
        if owner in self._subscribers:
            self._subscribers[owner].drop()
        raise TimeoutError(f"no node confirmed a subscription within {CONFIRM_SECONDS} s")

    async def group_discard(self, group: str, channel: str) -> None:  # noqa: ARG002
        self._forget(_channel_of(group))
        if self._client is not None:
            self._changed.set()

    async def flush(self) -> None:
        """Closes the connections to all nodes."""
        if self._client is None:
            return
        client, self._client = self._client, None
        await end_tasks([self._placing])
        subscribers, self._subscribers = self._subscribers, {}
        for subscriber in subscribers.values():
            await subscriber.close()
        await client.aclose()
        self._wanted.clear()
        self._missing.clear()

    def on_confirmed(self, channel: bytes) -> None:
        waiting = self._waiting.pop(channel, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if channel in self._missing:
            self._missing.discard(channel)
            if not self._missing:
                self._on_reconnect()

    def on_dropped(self, channel: bytes) -> None:
        if channel in self._wanted:
            self._missing.add(channel)
            self._place_again()

    def on_refused(self, node: Node) -> None:  # noqa: ARG002
        self._place_again()

    def on_lost(self, node: Node, error: Exception) -> None:
        subscriber = self._subscribers.get(node)
        if subscriber is None:
            return
        if lost := subscriber.confirmed & self._wanted.keys():
            self._missing |= lost
            self._on_disconnect()
        for channel in subscriber.channels & self._waiting.keys():
            self._fail(channel, error)
        self._place_again()

    def _start(self) -> None:
        if self._client is None:
            self._changed = asyncio.Event()
            client = connect_async(self._address, SUBSCRIBER)
            assert isinstance(client, AsyncClusterClient)  # noqa: S101 - the address has `nodes`
            self._client, self._slots = client, client.slots
            self._placing = asyncio.ensure_future(self._keep_placed(client))

    def _forget(self, name: bytes) -> None:
        self._wanted.pop(name, None)
        self._waiting.pop(name, None)
        self._missing.discard(name)

    def _place_again(self) -> None:
        self._stale = True
        self._changed.set()

    async def _keep_placed(self, client: AsyncClusterClient) -> None:
        while True:
            self._changed.clear()
            if self._stale:
                try:
                    await client.refresh()
                    self._stale = False
                except (RedisError, OSError) as error:
                    self._fail_unplaced(error)
            await self._place()
            unsettled = bool(self._missing or self._waiting)
            try:
                await asyncio.wait_for(self._changed.wait(), RETRY_SECONDS if unsettled else REFRESH_SECONDS)
            except TimeoutError:
                self._stale = True
            if unsettled:
                await asyncio.sleep(RETRY_SECONDS / 5)  # many events come together when a node is lost

    def _fail_unplaced(self, error: Exception) -> None:
        """Makes each waiting `group_add` raise ConnectionError if no node is known for its channel."""
        for channel in [name for name in self._waiting if self._slots.owner(self._wanted[name]) is None]:
            self._fail(channel, error)

    def _fail(self, channel: bytes, error: Exception) -> None:
        """Makes the waiting `group_add` of a channel raise ConnectionError."""
        waiting = self._waiting.pop(channel)
        self._wanted.pop(channel, None)
        if not waiting.done():
            waiting.set_exception(ConnectionError(f"no node serves a channel: {type(error).__name__}"))
            waiting.exception()  # Marks the error as seen: a cancelled subscriber awaits no result.

    async def _place(self) -> None:
        """Gives each joined channel to the subscriber of the node that serves the channel.

        Opens a subscriber for each new node, and closes the subscribers of nodes without channels.
        """
        for node in self._subscribers.keys() - self._channels_by_node().keys():
            subscriber = self._subscribers.pop(node)
            self._note_moved(subscriber, set())
            await subscriber.close()
        # Nothing below waits, so that no group is joined or left meanwhile.
        for node, channels in self._channels_by_node().items():
            if node not in self._subscribers:
                client = connect_async(node_address(self._address, node), SUBSCRIBER)
                self._subscribers[node] = NodeSubscriber(node, client, self, self._pass_on)
            subscriber = self._subscribers[node]
            if channels != subscriber.channels or channels != subscriber.confirmed:
                self._note_moved(subscriber, channels)
                subscriber.set_channels(frozenset(channels))
            # If a group was left and joined again between two calls, the node sends no second confirmation.
            for channel in self._waiting.keys() & subscriber.confirmed:
                self.on_confirmed(channel)

    def _channels_by_node(self) -> dict[Node, set[bytes]]:
        by_node: dict[Node, set[bytes]] = {}
        for channel, slot in self._wanted.items():
            if (node := self._slots.owner(slot)) is not None:
                by_node.setdefault(node, set()).add(channel)
        return by_node

    def _note_moved(self, subscriber: NodeSubscriber, channels: set[bytes]) -> None:
        """Marks the channels that have moved away from the node of `subscriber` as missing.

        `channels` are the channels that the node serves now. A channel stays missing until another node confirms the
        subscription.
        """
        self._missing |= (subscriber.confirmed - channels) & self._wanted.keys()

    def _pass_on(self, channel: bytes, data: bytes) -> None:
        if channel in self._wanted:  # messages may be on their way when a group is left
            self._receiver(channel[PREFIX_LENGTH:], data)


def _channel_of(group: str) -> bytes:
    """Returns the Redis channel of a group: `{tag}.prices.AAPL` for the group `prices.AAPL`."""
    return (tag_prefix(channel_symbol(group)) + group).encode()
