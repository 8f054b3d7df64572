"""Where in an event stream a body has got to, however its bytes are cut into frames."""

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lambda_runtime import asgi
from services.lambda_runtime.event_stream import EventStreamPosition
from tests.services.lambda_runtime.harness import http, run_runtime
from tests.services.lambda_runtime.runtime_api import invocation

PIECES = ["data: a", "data", ":", ": comment", "x", " ", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n"]


def reference(text: str) -> bool:
    """From the whole text, as the standard's parser splits it."""
    lines = re.split(r"\r\n|\r|\n", text)
    unfinished = lines.pop()
    fields = False
    for line in lines:
        if not line:
            fields = False
        elif not line.startswith(":"):
            fields = True
    return not unfinished and not fields


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.randoms(use_true_random=False))
def test_the_position_does_not_depend_on_the_frames(pieces: list[str], chance: Any) -> None:
    """Any text in any cuts: the same as of the whole."""
    text = "".join(pieces)
    position = EventStreamPosition()
    start = 0
    while start < len(text):
        end = start + chance.randint(1, 4)
        position.feed(text[start:end].encode())
        start = end
    assert position.is_between_events == reference(text), text


def app_of(*frames: bytes, fail: bool) -> Any:
    """An event stream that goes silent after its frames, or fails."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
            await asyncio.sleep(0.002)
        if fail:
            raise ValueError("broken")
        await asyncio.sleep(3600)

    return app


BETWEEN = [
    (b"data: a\n", b"\n"),  # line by line
    (b"data: a\r\n", b"\r\n"),
    (b"data: a\r", b"\n", b"\r\n"),
    (b"d", b"ata: a\n\n", b": com", b"ment\n"),
    (b": first\n",),
]
WITHIN = [
    (b"data: a", b":b\n"),  # a value that looks like a comment
    (b"data: a\n", b":b\n"),
    (b"data: a", b"\n"),
    (b"data: a\n\nda",),
    (b": comment",),
]


@pytest.mark.anyio
@pytest.mark.parametrize("frames", BETWEEN + WITHIN)
async def test_a_last_error_event_stands_alone(frames: tuple[bytes, ...]) -> None:
    """It is sent between two events and never glued to a half one."""
    async with run_runtime(app_of(*frames, fail=True)) as h:
        content = (await h.invoke(http())).content
    sent = b"".join(frames)
    if frames in BETWEEN:
        last = content.removeprefix(sent)
        assert json.loads(last.removeprefix(b"data: "))["code"] == "internal"
    else:
        assert content == sent


@pytest.mark.anyio
@pytest.mark.parametrize(("frames", "beats"), [(BETWEEN[0], True), (WITHIN[0], False)])
async def test_a_stream_sent_line_by_line_is_kept_alive(
    frames: tuple[bytes, ...], beats: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy's stream too: silence would be cut after thirty seconds."""
    monkeypatch.setattr(asgi, "HEARTBEAT", 0.02)
    async with run_runtime(app_of(*frames, fail=False)) as h:
        h.api.waiting.put_nowait(invocation(http()))
        call = await h.api.call("/response", complete=False)
        await h.api.until(lambda: call.content.startswith(b"".join(frames)))
        if beats:
            await h.api.until(lambda: call.content.endswith(b":\n:\n"))
        else:
            await asyncio.sleep(0.1)
            assert call.content == b"".join(frames)
        h.runtime.stop()
        await h.api.until(lambda: call.complete)
