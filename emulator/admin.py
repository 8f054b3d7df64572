"""The emulator's own door: what runs, which faults are in force, freeze, thaw, kill.

Lives under `/emulator` beside the Invoke API. A page in a browser cannot knock: requests
with an `Origin` are refused, and posts must be JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.cloudformation import EmulatorSetupError
from emulator.faults import Faults, parse_faults
from emulator.function import Function
from emulator.http1 import Handler, Reply, Request
from emulator.web_function import WebFunction

_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin endpoint in front of `handler`, which gets every other path."""

    handler: Handler
    functions: Mapping[str, Function | WebFunction]
    faults: Faults

    async def handle(self, request: Request, reply: Reply) -> None:
        """Answer one request."""
        if request.path != "/emulator" and not request.path.startswith("/emulator/"):
            await self.handler(request, reply)
        elif request.header("origin"):
            await _json(reply, 403, {"error": "Not from a browser."})
        else:
            await self._serve(request, reply)

    async def _serve(self, request: Request, reply: Reply) -> None:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["emulator"]:
                functions = [_describe(function) for function in self.functions.values()]
                listing = self.faults.list_rules()
                await _json(reply, 200, {"functions": functions, "faults": listing})
            case ("GET" | "POST" | "PUT" | "DELETE") as method, ["emulator", "faults"]:
                await self._change(method, request, reply)
            case "POST", ["emulator", "functions", name, verb] if name in self.functions:
                await self._order(self.functions[name], verb, reply)
            case _:
                await _json(reply, 404, {"error": "See docs/emulator.md for what can be asked."})

    async def _change(self, method: str, request: Request, reply: Reply) -> None:
        if method in ("POST", "PUT"):
            if not request.header("content-type").startswith("application/json"):
                await _json(reply, 415, {"error": "Send Content-Type: application/json."})
                return
            try:
                rules = parse_faults(await request.body.read_all(_LIMIT))
            except EmulatorSetupError as error:
                await _json(reply, 400, {"error": str(error)})
                return
        else:
            rules = []
        if method in ("PUT", "DELETE"):
            self.faults.clear()
        self.faults.add(rules)
        await _json(reply, 200, {"faults": self.faults.list_rules()})

    async def _order(self, function: Function | WebFunction, verb: str, reply: Reply) -> None:
        match verb:
            case "freeze":
                function.freeze()
            case "thaw":
                function.thaw()
            case "kill":
                function.kill()
            case "end" if isinstance(function, WebFunction):
                function.retire()
            case "restart":
                await function.reload()
            case _:
                await _json(reply, 404, {"error": "A function can: freeze, thaw, kill, restart."})
                return
        await _json(reply, 200, _describe(function))


def _describe(function: Function | WebFunction) -> dict[str, Any]:
    return {
        "name": function.spec.name,
        "busy": function.busy,
        "concurrency": function.concurrency,
        "sandboxes": [
            {"pid": sandbox.pid, "alive": sandbox.alive, "frozen": sandbox.frozen}
            for sandbox in function.sandboxes
        ],
    }


async def _json(reply: Reply, status: int, document: object) -> None:
    body = json.dumps(document, indent=2).encode() + b"\n"
    await reply.send(status, [("Content-Type", "application/json")], body)
