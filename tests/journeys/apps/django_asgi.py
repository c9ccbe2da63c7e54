"""The Django project for Daphne, and beside it a WebSocket consumer without Channels."""

from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]

from tests.journeys.apps import django_site
from tests.journeys.apps.sockets import Receive, Scope, Send, converse

_django = get_asgi_application()
__all__ = ["application", "django_site"]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await converse(scope["path"].rpartition("/")[2], scope, receive, send)
    else:
        await _django(scope, receive, send)
