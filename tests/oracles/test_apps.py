"""Other people's applications answer under `bootstrap` as they do under uvicorn.

Each is visited in the same way at every host, and the answers are compared. What an
application begins in one request and another request meets is visited with several requests.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import support
from tests.emulator.support import Got
from tests.oracles.hosts import APPS, APPS_PYTHON, HOSTS, needs_apps, serve
from tests.oracles.programs import ROOT

pytestmark = needs_apps

JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded")]

Visit = Callable[[str], Any]


def view(got: Got) -> Any:
    """What a client of any of the hosts would compare."""
    return got.status, got.header("content-type"), got.body, got.whole


def ask(url: str, **request: Any) -> Got:
    """One request, again while the only sandbox is still busy with the one before."""
    for _ in range(200):
        if (got := support.ask(url, **request)).status != 429:
            return got
        time.sleep(0.02)
    raise AssertionError("the sandbox stays busy")


def get(url: str) -> Any:
    return view(ask(url))


def post(url: str, body: bytes, headers: list[tuple[str, str]]) -> Any:
    return view(ask(url, method="POST", body=body, headers=headers))


def until(url: str, text: bytes) -> bool:
    """Whether `url` comes to say `text`; a frozen sandbox has time only while it is asked."""
    for _ in range(100):
        if text in ask(url).body:
            return True
        time.sleep(0.05)
    return False


def visit_fastapi(url: str) -> Any:
    slash = ask(url + "/slash")
    return [
        get(url + "/sse"),
        post(url + "/items", b'{"name": "x", "price": 1.5}', JSON),
        post(url + "/items", b'{"name": 1}', JSON),
        get(url + "/background"),
        until(url + "/done", b'"background"'),
        get(url + "/begin"),
        get(url + "/await"),
        (slash.status, slash.header("location").removeprefix(url)),
        get(url + "/done"),
    ]


def visit_litestar(url: str) -> Any:
    return [
        get(url + "/sse"),
        get(url + "/stream"),
        post(url + "/echo", b'{"a": [1, "\xc3\xa9"]}', JSON),
        get(url + "/missing"),
    ]


def visit_quart(url: str) -> Any:
    return [
        get(url + "/background"),
        post(url + "/echo?a=1&a=2", b'{"b": null}', JSON),
        get(url + "/stream"),
        until(url + "/done", b'"background"'),
        get(url + "/done"),
    ]


def visit_django(url: str) -> Any:
    slash = ask(url + "/slash?b=1")
    return [
        get(url + "/stream"),
        post(url + "/form?b=1&b=2", b"a=%C3%A9+x", FORM),
        (slash.status, slash.header("location").removeprefix(url)),
        get(url + "/missing")[0],
    ]


def visit_flask(url: str) -> Any:
    return [get(url + "/stream"), post(url + "/form?b=1&b=2", b"a=%C3%A9+x", FORM)]


def visit_sse(url: str) -> Any:
    return [get(url + "/stream"), get(url + "/stream")]


def visit_sentry(url: str) -> Any:
    return [get(url + "/"), get(url + "/again?x=1")]


def visit_agentcore(url: str) -> Any:
    return [
        post(url + "/invocations", b'{"prompt": "hi"}', JSON),
        ask(url + "/ping").json["status"],
    ]


def visit_workflows(url: str) -> Any:
    begun = ask(url + "/workflows/count/run-nowait", method="POST", headers=JSON, body=b"{}").json
    stream = ask(f"{url}/events/{begun['handler_id']}?sse=false&after_sequence=-1")
    numbers = [
        event["value"]["number"]
        for event in map(json.loads, stream.body.splitlines())
        if "number" in event.get("value", {})
    ]
    assert until(f"{url}/results/{begun['handler_id']}", b"counted")
    return stream.status, numbers


def visit_mcp(url: str) -> Any:
    client = [str(APPS_PYTHON), str(APPS / "mcp_client.py"), url]
    ended = subprocess.run(client, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


PROGRAMS: dict[str, tuple[str, Visit]] = {
    "FastAPI": ("fastapi_app.app", visit_fastapi),
    "Litestar": ("litestar_app.app", visit_litestar),
    "Quart": ("quart_app.app", visit_quart),
    "Django": ("django_app.app", visit_django),
    "Flask through a2wsgi": ("flask_app.app", visit_flask),
    "sse-starlette": ("sse_app.app", visit_sse),
    "Sentry's middleware": ("sentry_app.app", visit_sentry),
    "Bedrock AgentCore": ("agentcore_app.app", visit_agentcore),
    "LlamaIndex workflows": ("workflows_app.app", visit_workflows),
    "MCP with sessions": ("mcp_app.sessions", visit_mcp),
    "MCP without sessions": ("mcp_app.stateless", visit_mcp),
}


# What else Datadog's wrapper wants to know: it sends nothing anywhere.
DATADOG = {"DD_TRACE_ENABLED": "false", "DD_API_KEY": "none", "DD_FLUSH_TO_LOG": "true"}


@pytest.mark.parametrize("handler", ["sse_app.app", "exported_app.handler"])
def test_an_application_behind_datadogs_handler_streams(handler: str, tmp_path: Path) -> None:
    """Its layer points `_HANDLER` at its own function, which cannot call an application."""
    with serve("uvicorn", handler, tmp_path) as url:
        reference = visit_sse(url)
    environ = {"DD_LAMBDA_HANDLER": handler, **DATADOG}
    with serve("concurrent", "datadog_lambda.handler.handler", tmp_path, environ=environ) as url:
        assert visit_sse(url) == reference


# Its sessions are in a process's memory, and its client speaks on several connections at once:
# a cloud of one invocation per sandbox cannot serve it, whatever runs there.
NOT_ON_DEMAND = {"MCP with sessions", "MCP without sessions"}


# Its loading alone takes four seconds of a processor; with sessions it does all this and more.
IN_THE_SOAK = "MCP without sessions"


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(program, marks=pytest.mark.soak) if program == IN_THE_SOAK else program
        for program in PROGRAMS
    ],
)
def test_an_application_answers_as_under_uvicorn(program: str, tmp_path: Path) -> None:
    """In one process for all, and in a frozen sandbox of its own."""
    handler, visit = PROGRAMS[program]

    def run(host: str) -> Any:
        with serve(host, handler, tmp_path) as url:
            return visit(url)

    hosts = HOSTS[:-1] if program in NOT_ON_DEMAND else HOSTS
    with ThreadPoolExecutor(len(hosts)) as threads:
        seen = dict(zip(hosts, threads.map(run, hosts), strict=True))
    for host in hosts[1:]:
        assert seen[host] == seen["uvicorn"], host


def test_the_manual_says_which_versions_are_tried() -> None:
    """Its table holds what the lock file installs."""
    manual = (ROOT / "docs" / "lambda-runtime.md").read_text("utf-8")
    rows = re.findall(r"\| `([a-z0-9-]+)` ([0-9][^|]*) \|", manual)
    locked = (APPS / "requirements.txt").read_text("utf-8")
    assert len(rows) >= 14
    for name, versions in rows:
        found = re.findall(rf"(?m)^{name}==([^ ;]+)", locked)
        assert versions == " or ".join(found), name
