"""The published clients of other ecosystems, unmodified, against the served functions."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.ecosystems.node import read_snippet, run_node, run_node_test
from tests.functions.serving import Server, run_server

HERE = Path(__file__).parent
# What is on the wire is the same on each host, and how one ends in mid-answer each client meets in
# `test_killed.py`: of the suites only the one that cuts, stops and resumes has two hosts before
# the soak.
ON_BOTH = {"hard.test.mjs"}
ON_ONE = {path.name for path in HERE.glob("*.test.mjs")} - ON_BOTH

SCRIPT = [
    {"when": "fails late", "steps": [{"text": "Half"}, {"error": "provider_error"}]},
    {"when": "fails early", "steps": [{"error": "provider_error"}]},
    {"when": "hangs", "steps": [{"text": "So far"}, {"hang": True}]},
    {
        "when": "slowly",
        "steps": [{"text": "Vier grüne "}, {"waitMs": 400}, {"text": "Kronen — 👑 [1]."}],
    },
    {
        "when": "takes long",
        "steps": [step for n in range(40) for step in ({"waitMs": 300}, {"text": f"{n} "})],
    },
    {
        "when": "*",
        "steps": [
            {"text": "Four "},
            {"text": "crowns [1]."},
            {"usage": {"inputTokens": 9, "outputTokens": 4}},
        ],
    },
]


# A Web Function is `make serve`'s server with more around it, so that one may wait for the soak.
HOSTS = [
    pytest.param(("emulator",), id="functions"),
    pytest.param(("emulator", "--parameter", "Host=web"), id="web function"),
    pytest.param(("functions",), id="make serve", marks=pytest.mark.soak),
]
ONE_HOST = [
    HOSTS[0],
    pytest.param(HOSTS[1].values[0], id=HOSTS[1].id, marks=pytest.mark.soak),
    HOSTS[2],
]


@pytest.fixture(scope="module", params=HOSTS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The product on one host, with a scripted model and pings in silence."""
    environ = _scripted(tmp_path_factory) | {"RIVERRUN_HEARTBEAT": "0.05"}
    with run_server(environ, *request.param) as running:
        yield running


def _scripted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("ecosystems")
    (home / "script.json").write_text(json.dumps(SCRIPT), encoding="utf-8")
    return {
        "PORT": "0",
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(home / "script.json"),
        "RIVERRUN_LOG": "sqlite://",
        "RIVERRUN_DATA_DIR": str(home / "data"),
    }


@pytest.mark.node
@pytest.mark.parametrize("suite", sorted(ON_BOTH))
def test_its_own_client_is_content(suite: str, server: Server) -> None:
    """Answers, failures, stops, cuts and resumes, as the client's own users meet them."""
    run_node_test(server.url, suite)


@pytest.mark.node
@pytest.mark.parametrize("suite", sorted(ON_ONE))
@pytest.mark.parametrize("server", ONE_HOST, indirect=True)
def test_a_client_that_meets_one_host_is_content(suite: str, server: Server) -> None:
    """The same, on one host in `make test`."""
    run_node_test(server.url, suite)


@pytest.mark.node
@pytest.mark.parametrize(
    "host",
    [
        pytest.param(("functions",), id="make serve"),
        pytest.param(("emulator",), id="functions", marks=pytest.mark.soak),
        pytest.param(HOSTS[1].values[0], id="web function", marks=pytest.mark.soak),
    ],
)
def test_no_client_takes_an_answer_whose_time_is_over_for_a_whole_one(
    host: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each is told in its own way."""
    environ = _scripted(tmp_path_factory) | {"RIVERRUN_DEADLINE": "4"}
    with run_server(environ, *host) as server:
        run_node_test(server.url, "deadline.short.mjs")


PAGE = """
import { JSDOM } from "jsdom";
const base = process.env.RIVERRUN_URL;
const { window } = new JSDOM("<!doctype html><div id=root></div>", { url: base });
const fetchAnywhere = globalThis.fetch;
const fetch = (address, options) => fetchAnywhere(new URL(address, base), options);
Object.assign(globalThis, { window, document: window.document, fetch });
"""
"""A page whose own server is the one that is tested."""

CHAT = """
const { createElement } = await import("react");
const { createRoot } = await import("react-dom/client");
const chatId = "a chat";
const told = await new Promise((done) => {
  let sent = false;
  function Chat() {
    %s
    const parts = messages.at(-1)?.parts ?? [];
    const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("");
    if (messages.length === 2 && text.endsWith("[1].")) done(text);
    if (!sent) setTimeout(() => sendMessage({ text: "What?" }));
    sent = true;
    return null;
  }
  createRoot(window.document.getElementById("root")).render(createElement(Chat));
});
"""
"""A component with the two documented lines in it."""


@pytest.mark.node
@pytest.mark.soak
@pytest.mark.parametrize("host", HOSTS)
def test_an_agent_that_reads_on_is_not_ended_by_a_deadline(
    host: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The documented `fetch` says that it comes back, and the answer goes on in the next body."""
    environ = _scripted(tmp_path_factory) | {"RIVERRUN_DEADLINE": "6"}
    with run_server(environ, *host) as server:
        run_node_test(server.url, "reads_on.short.mjs")


@pytest.mark.node
def test_the_lines_of_the_ai_sdk_s_page_run_in_a_page(server: Server) -> None:
    """The five lines that its user changes, as docs/ai-sdk.md has them."""
    lines = read_snippet("ai-sdk.md").splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    rest = "\n    ".join(line for line in lines if not line.startswith("import "))
    stop = read_snippet("ai-sdk.md", 1)
    end = f'console.log(told);\n{stop}\nprocess.exit(told === "Four crowns [1]." ? 0 : 1);'
    dynamic = [
        re.sub(r"import (.+) from (.+);", r"const \1 = await import(\2);", i) for i in imports
    ]
    run_node(server.url, "--input-type=module", "-e", "\n".join([PAGE, *dynamic, CHAT % rest, end]))


@pytest.mark.node
def test_the_lines_of_ag_ui_s_page_run(server: Server) -> None:
    """As docs/ag-ui.md has them, with the address of the server that is tested."""
    lines = read_snippet("ag-ui.md").replace("http://localhost:8888", server.url)
    end = 'process.exit(result.answer === "Four crowns [1]." ? 0 : 1);'
    run_node(server.url, "--input-type=module", "-e", f"{lines}\n{end}")


def test_the_documented_fetch_is_the_one_that_is_tested() -> None:
    """The snippet of docs/ag-ui.md, to the letter."""
    manual = (ROOT / "docs" / "ag-ui.md").read_text()
    snippet = re.search(r"```js\n(export function resumableFetch.+?)```", manual, re.DOTALL)
    assert snippet is not None
    assert snippet[1] in (HERE / "resumable_fetch.mjs").read_text()


def test_the_documented_lines_for_assistant_ui_are_those_that_are_tested() -> None:
    """The snippet of docs/ai-sdk.md, but for where it is indented."""
    suite = (HERE / "assistant_ui.test.mjs").read_text()
    tested = {line.strip() for line in suite.splitlines()}
    lines = [line.strip() for line in read_snippet("ai-sdk.md", 2).splitlines() if line]
    assert len(lines) > 9
    assert [line for line in lines[1:] if line not in tested] == []
