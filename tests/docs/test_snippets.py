"""Every fenced block of every manual is executed by a test as written, or has its reason here.

What runs in a shell runs in one, in this file; the table names the test of every other block.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from services.chat.providers.script_file import read_script
from services.runs.recordings import read_recording
from services.settings import ROOT
from tests.functions.serving import Server, link_functions, run_server

MANUALS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "clients/*/README.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
PICTURE = "a picture in letters"
OUTPUT = "what a program prints"
ACCOUNT = "wants an account: its `make` targets and modules are looked for here"
HERE = "tests/docs/test_snippets.py"
OWN = "tests/docs/test_your_own_function.py"
CLIENTS = "tests/clients/test_readmes.py"
ECOSYSTEMS = "tests/ecosystems"
TEXTS = "tests/docs/test_docs.py"
SUITES = "tests/clients/javascript"
HOOK = "tests/clients/javascript/react.test.mjs"

# By document, in order: the test that executes a block, or why none does.
WHERE = {
    "CONTRIBUTING.md": [HERE],
    "README.md": [
        HERE,
        HERE,
        "tests/docs/test_docs.py",
        HERE,
        "tests/docs/test_docs.py",
        HERE,
        ACCOUNT,
        PICTURE,
    ],
    "clients/javascript/README.md": [SUITES, CLIENTS, CLIENTS, HOOK, CLIENTS, HERE],
    "clients/python/README.md": ["tests/clients/python", CLIENTS, HERE, PICTURE],
    "docs/adding-a-dialect.md": ["tests/services/streaming/encoders/test_dialect_runs.py"],
    "docs/adding-a-store.md": ["tests/services/runs/sqlite/test_log.py"],
    "docs/ag-ui.md": [ECOSYSTEMS] * 3,
    "docs/ai-sdk.md": [ECOSYSTEMS] * 3,
    "docs/clients.md": ["tests/clients/python", CLIENTS, HERE, CLIENTS, CLIENTS],
    "docs/contract.md": [OUTPUT],
    "docs/customer-managed-runtime.md": [ACCOUNT],
    "docs/deploying.md": [ACCOUNT] * 4,
    "docs/design.md": [PICTURE] * 3,
    "docs/emulator.md": [HERE, "tests/emulator/test_docs.py", "tests/emulator/test_faults.py"],
    "docs/errors.md": [HERE],
    "docs/index.md": [HERE],
    "docs/lambda-runtime.md": [HERE, "tests/services/lambda_runtime/test_example.py"],
    "docs/models.md": [HERE, HERE, HERE, HERE],
    "docs/netlify.md": [ACCOUNT, HERE, "of OpenSSL", "tests/netlify_dev"],
    "docs/openai.md": [ECOSYSTEMS, "tests/oracles/open_webui"],
    "docs/page.md": ["tests/functions/test_embedding.py", HERE],
    "docs/parts.md": [TEXTS],
    "docs/public.md": [HERE, HERE, OUTPUT],
    "docs/recordings.md": [HERE, HERE],
    "docs/scripted.md": [HERE, HERE],
    "docs/web-functions.md": [HERE, ACCOUNT],
    "docs/your-own-function.md": [OWN, HERE, OWN, OWN, OWN, OWN, OWN, OWN],
    "examples/any_asgi_app/README.md": [ACCOUNT, ACCOUNT],
    "examples/nine_lines/README.md": [HERE],
    "examples/web_function_probe/README.md": [ACCOUNT],
}


FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a manual."""

    document: str
    language: str
    text: str


def read_blocks() -> Iterator[Block]:
    """Every fenced block, in order."""
    for manual in MANUALS:
        text = (ROOT / manual).read_text("utf-8")
        for language, body in FENCED.findall(text):
            yield Block(str(manual), language, body)


BLOCKS = list(read_blocks())
ECHO = next(b.text for b in BLOCKS if b.document == "README.md" and b.language == "python")


def test_every_block_has_its_test_or_its_reason() -> None:
    """A new one needs an entry above; an entry names a test that is there."""
    counted = {
        name: sum(b.document == name for b in BLOCKS) for name in {b.document for b in BLOCKS}
    }
    assert counted == {name: len(places) for name, places in WHERE.items()}
    named = {place for places in WHERE.values() for place in places if place.startswith("tests/")}
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []


def test_what_is_data_can_be_read() -> None:
    """JSON as JSON: one document, or an object a line."""
    for block in BLOCKS:
        if block.language == "json":
            lines = block.text.splitlines()
            single = all(line.startswith("{") and line.endswith("}") for line in lines)
            for text in lines if single else [block.text]:
                json.loads(text)


def test_every_command_is_one_of_this_tree() -> None:
    """`make` knows its targets and variables, Python its modules; `python` alone may be another."""
    shell = [b.text for b in BLOCKS if b.language in ("", "sh")]
    lines = [line for text in shell for line in text.splitlines()]
    assert [line for line in lines if re.match(r"(\w+=\S+ )*python -m", line.strip())] == []
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for line in lines:
        words = line.partition("#")[0].split()
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words[:1] == ["make"]:
            assert words[1] in targets, line
            for name in re.findall(r"\b([A-Z]+)=", " ".join(words[2:])):
                assert f"$({name})" in makefile or f"$${name}" in makefile, line
        elif "-m" in words and "python" in words[0]:
            path = ROOT / words[words.index("-m") + 1].replace(".", "/")
            is_ours = path.is_dir() or path.with_suffix(".py").is_file()
            assert is_ours or path.name in ("pytest", "pdb"), line


def test_the_recording_of_the_manual_is_one(tmp_path: Path) -> None:
    """Read as `RIVERRUN_REPLAY` reads it."""
    (block,) = (b for b in BLOCKS if b.document == "docs/recordings.md" and b.language == "json")
    path = tmp_path / "paris.ndjson"
    path.write_text(block.text)
    assert read_recording(path).entries


def test_the_script_of_the_manual_is_one(tmp_path: Path) -> None:
    """Read as `RIVERRUN_SCRIPT` reads it."""
    (block,) = (b for b in BLOCKS if b.document == "docs/scripted.md" and b.language == "json")
    path = tmp_path / "script.json"
    path.write_text(block.text)
    read_script(path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`make serve` in a tree that has the README's function."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("services", "knowledge", "netlify", "bootstrap"):
        (folder / name).symlink_to(ROOT / name)
    (link_functions(folder) / "echo.py").write_text(ECHO)
    environ = {"PORT": "0", "RIVERRUN_LOG": "memory://"}
    with run_server(environ, folder=folder) as running:
        yield running


def run_shell(text: str, **environ: str) -> str:
    """Run a block in a shell, in the tree, and return what it printed."""
    done = subprocess.run(
        ["bash", "-ec", text],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def find_block(document: str, text: str) -> str:
    """The block of a manual that has these words."""
    found = [b for b in BLOCKS if b.document == document and b.language != "yaml"]
    (block,) = (b.text for b in found if text in b.text)
    return block


@pytest.mark.parametrize(
    ("document", "asked", "said"),
    [
        ("README.md", "/.netlify/functions/chat", "Eiffel Tower"),
        ("docs/emulator.md", "/api/chat?query=hello", '"type":"final"'),
        ("docs/your-own-function.md", "8888/api/echo", '"answer":"one word after another "'),
        ("examples/nine_lines/README.md", "/api/echo", '"answer":"one word after another "'),
    ],
)
def test_what_is_asked_with_curl_is_answered(
    server: Server, document: str, asked: str, said: str
) -> None:
    """As it stands, but for the port."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on the PATH")
    block = find_block(document, asked)
    command = block[block.index("curl ") :]
    command = re.sub(r"localhost:\d+", f"localhost:{server.port}", command)
    assert said in run_shell(command)


def test_the_command_does_what_its_manual_says(server: Server, tmp_path: Path) -> None:
    """Every line of docs/clients.md, in order; RUN is a run that there is."""
    command = f"{sys.executable} -m riverrun_client"
    environ = {
        "RIVERRUN_URL": server.url,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "clients" / "python"),
    }
    asked = run_shell(f'{command} --json "What are the best attractions in Paris?"', **environ)
    run = json.loads(asked)["runId"]
    for line in find_block("docs/clients.md", "riverrun bench").splitlines():
        # `make ask` is the same command, by a target that would install it first.
        written = line.partition("#")[0].replace("make ask Q=", "riverrun ").replace("RUN", run)
        said = run_shell(re.sub(r"^riverrun\b", command, written), **environ)
        assert "Eiffel Tower" in said or '"What' not in line


def test_keys_and_limits_are_set_by_the_commands_of_their_manual(tmp_path: Path) -> None:
    """A key that was added is listed and revoked; questions are refused and let in again."""
    python, keys = sys.executable, str(tmp_path / "keys.json")
    environ = {"RIVERRUN_DATA_DIR": str(tmp_path), "RIVERRUN_LOG": "sqlite://"}
    environ["RIVERRUN_VISITOR_RUNS_PER_MINUTE"] = "5"
    for words in ("services.access add", "services.limits off"):
        block = find_block("docs/public.md", words)
        block = block.replace(".venv/bin/python", python).replace("keys.json", keys)
        said = run_shell(block, **environ)
        assert said
