"""The MCP Python SDK's server, with sessions and without."""

import asyncio
from typing import Any

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

server = MCPServer("counter")
anywhere = TransportSecuritySettings(enable_dns_rebinding_protection=False)


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers, slowly."""
    await asyncio.sleep(0.01)
    return a + b


@server.resource("counter://zero")
def zero() -> str:
    return "0"


@server.prompt()
def count(to: str) -> str:
    return f"Count to {to}."


sessions: Any = server.streamable_http_app(transport_security=anywhere)
stateless: Any = server.streamable_http_app(stateless_http=True, transport_security=anywhere)
