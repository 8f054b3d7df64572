"""Bedrock AgentCore's application: an agent that streams what it yields."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from bedrock_agentcore.runtime import BedrockAgentCoreApp

app = BedrockAgentCoreApp()


@app.entrypoint
async def invoke(payload: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for number in range(3):
        yield {"number": number, "prompt": payload.get("prompt")}
        await asyncio.sleep(0.01)
