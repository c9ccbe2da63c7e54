"""A Django project with Channels, for Daphne: a chat of rooms, for pages of its own hosts alone."""

from channels.generic.websocket import (  # type: ignore[import-untyped]
    AsyncJsonWebsocketConsumer,
    JsonWebsocketConsumer,
)
from channels.routing import ProtocolTypeRouter, URLRouter  # type: ignore[import-untyped]
from channels.security.websocket import OriginValidator  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from tests.journeys.apps import django_site

settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
_django = get_asgi_application()
__all__ = ["application", "django_site"]


class Chat(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """Everybody in a room hears what one says."""

    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await self.channel_layer.group_send(self.room, {"type": "said", "text": f"left: {code}"})

    async def receive_json(self, content: dict[str, str]) -> None:
        await self.channel_layer.group_send(self.room, {"type": "said", "text": content["text"]})

    async def said(self, event: dict[str, str]) -> None:
        await self.send_json({"text": event["text"]})


class Shout(JsonWebsocketConsumer):  # type: ignore[misc]
    """A synchronous one, which runs in a thread."""

    def receive_json(self, content: dict[str, str]) -> None:
        self.send_json({"text": content["text"].upper()})
        if content["text"] == "bye":
            self.close(4000)


application = ProtocolTypeRouter(
    {
        "http": _django,
        "websocket": OriginValidator(
            URLRouter([path("chat/<room>", Chat.as_asgi()), path("shout", Shout.as_asgi())]),
            ["localhost"],
        ),
    }
)
