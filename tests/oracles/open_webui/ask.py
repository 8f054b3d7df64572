"""Ask an Open WebUI one question as its own page does; each event that the page gets is a line.

    python ask.py URL QUESTION

Runs in Open WebUI's own environment, which has Socket.IO. The last line is the message as kept.
"""

import asyncio
import json
import sys
import uuid
from typing import Any

import aiohttp
import socketio

MODEL = "riverrun"
ANSWER_SECONDS = 120


async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    """Make one call of its API. Raises `AssertionError` for anything but 200."""
    async with http.request(method, path, json=body) as answer:
        text = await answer.text()
        assert answer.status == 200, f"{path}: {answer.status} {text}"
        return json.loads(text)


def make_chat(query: str, answer: str) -> dict[str, Any]:
    """Return a chat of one question and the empty message `answer`, as the page saves it."""
    asked = str(uuid.uuid4())
    known = {"timestamp": 1, "models": [MODEL]}
    messages = {
        asked: {
            **known,
            "id": asked,
            "role": "user",
            "content": query,
            "parentId": None,
            "childrenIds": [answer],
        },
        answer: {
            **known,
            "id": answer,
            "role": "assistant",
            "content": "",
            "parentId": asked,
            "childrenIds": [],
            "model": MODEL,
        },
    }
    history = {"messages": messages, "currentId": answer}
    return {"title": "A chat", "models": [MODEL], "history": history}


def is_end(event: dict[str, Any]) -> bool:
    """Whether the page is told by `event` that nothing more comes."""
    return event.get("type") == "chat:active" and not event["data"]["active"]


async def ask(url: str, query: str) -> None:
    """Sign in, open a chat, ask, and print what the page is told until it is told no more."""
    async with aiohttp.ClientSession(url) as http, socketio.AsyncSimpleClient() as page:
        signed = await call(http, "POST", "/api/v1/auths/signin", {"email": "", "password": ""})
        http.headers["Authorization"] = f"Bearer {signed['token']}"
        models = await call(http, "GET", "/api/models")
        assert MODEL in [model["id"] for model in models["data"]]
        answer = str(uuid.uuid4())
        saved = {"chat": make_chat(query, answer)}
        chat = await call(http, "POST", "/api/v1/chats/new", saved)
        await page.connect(
            url,
            auth={"token": signed["token"]},
            transports=["websocket"],
            socketio_path="/ws/socket.io",
        )
        question = {
            "stream": True,
            "model": MODEL,
            "messages": [{"role": "user", "content": query}],
            "chat_id": chat["id"],
            "id": answer,
            "session_id": page.sid,
            "background_tasks": {},
        }
        await call(http, "POST", "/api/chat/completions", question)
        async with asyncio.timeout(ANSWER_SECONDS):
            event: dict[str, Any] = {}
            while not is_end(event):
                name, *told = await page.receive()
                if name == "events":
                    event = told[0]["data"]
                    print(json.dumps(event), flush=True)
        kept = await call(http, "GET", f"/api/v1/chats/{chat['id']}")
        message = kept["chat"]["history"]["messages"][answer]
        print(json.dumps({"type": "kept", "data": message}))


if __name__ == "__main__":
    asyncio.run(ask(*sys.argv[1:]))
