"""The MCP SDK's own client: two sessions one after the other, and what they got, as JSON."""

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def visit(url: str) -> dict[str, Any]:
    """One session: initialize, list, call, read."""
    async with (
        streamable_http_client(url) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        hello = await session.initialize()
        tools = await session.list_tools()
        calls = [await session.call_tool("add", {"a": n, "b": 1}) for n in range(3)]
        prompt = await session.get_prompt("count", {"to": "3"})
        resource = await session.read_resource("counter://zero")
        return {
            "server": hello.server_info.name,
            "tools": [tool.name for tool in tools.tools],
            "calls": [call.content[0].text for call in calls],
            "prompt": prompt.messages[0].content.text,
            "resource": resource.contents[0].text,
        }


async def main() -> None:
    """Two sessions in a row, then two at once."""
    url = sys.argv[1] + "/mcp"
    seen = [await visit(url), await visit(url), *await asyncio.gather(visit(url), visit(url))]
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(), 40))
