"""Django's ASGI handler: an asynchronous stream, a form, a redirect to a slash."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="test",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()


async def stream(_request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"data: %d\n\n" % number
            await asyncio.sleep(0.01)

    return StreamingHttpResponse(parts(), content_type="text/event-stream")


def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.POST.get('a')}|{request.GET.getlist('b')}".encode())


urlpatterns: list[Any] = [path("stream", stream), path("form", form), path("slash/", form)]
app = get_asgi_application()
