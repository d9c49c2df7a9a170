"""The chat consumer from the tutorial of Django Channels, with a group per symbol instead of a chat room.

    CHANNELS_REDIS_PORT=… python -m uvicorn tests.bench.peers.servers.channels_tutorial:application

A client sends an array of symbols, and then receives all updates of these symbols. The tutorial stores no updates, so
that the client does not receive the newest updates first. This server uses the pub/sub channel layer. With redis-py 8,
idle consumers would end with the channel layer of the tutorial (channels_redis issue 422).
"""

import json
import os
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.conf import settings

PORT = int(os.environ.get("CHANNELS_REDIS_PORT", "6379"))
HOSTS = [{"host": "127.0.0.1", "port": PORT, "protocol": 2}]
LAYER = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": HOSTS}}


class PriceConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    symbols: list[str]

    async def connect(self) -> None:
        self.symbols = []
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        self.symbols = json.loads(text_data)
        for symbol in self.symbols:
            await self.channel_layer.group_add(f"tutorial.{symbol}", self.channel_name)

    async def disconnect(self, code: int) -> None:
        for symbol in self.symbols:
            await self.channel_layer.group_discard(f"tutorial.{symbol}", self.channel_name)

    async def price_update(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


if not settings.configured:
    settings.configure(CHANNEL_LAYERS={"default": LAYER}, SECRET_KEY="for a measurement", ALLOWED_HOSTS=["*"])
application = ProtocolTypeRouter({"websocket": PriceConsumer.as_asgi()})
