"""Build the package for one Python, unpack it and run it there: the same answers as the tree's.

    python -m tests.deploy.run_package --interpreter /usr/bin/python3.14

The interpreter makes the bytecode and runs it: `bootstrap` under the emulator, a folder that
cannot be written, no other package on the path. The libraries come from the registry, so `.ci/run`
does this and `make test` does not.
"""

import argparse
import http.client
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.package import Plan, build
from deploy.package.target import Target, read_platform
from emulator.function import Options
from tests.emulator.support import RunningCloud, run_cloud

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = (
    "What are the best museums in Paris?",
    "What are the best restaurants in Tokyo?",
    "What is the meaning of life?",
)
# What is new in every run.
# How far an answer is, is learned from how long the earlier ones took.
VOLATILE = {"runId", "executionTimeMs", "timestamp", "elapsedMs", "etaMs", "progress", "id"}


def main() -> int:
    """Say in lines what was run; the status is 1 where an answer differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.run_package", description=__doc__)
    parser.add_argument("--interpreter", default=sys.executable)
    parser.add_argument("--profile", default="embedded")
    chosen = parser.parse_args()
    version = ask_version(chosen.interpreter)
    target = Target(version, read_platform(os.uname().machine))
    with tempfile.TemporaryDirectory(prefix="riverrun-packaged-") as name:
        folder = Path(name)
        package = build(
            Plan(
                root=ROOT,
                output=folder / "riverrun.zip",
                profile=chosen.profile,
                target=target,
                interpreter=chosen.interpreter,
                environ=os.environ,
            )
        )
        task = unpack(package.path, folder / "task")
        bare = write_wrapper(folder / "python", chosen.interpreter)
        with serve(ROOT / "template.yaml", sys.executable) as tree:
            expected = [ask(tree.url("netlify"), question) for question in QUESTIONS]
        began = time.perf_counter()
        with serve(task / "template.yaml", str(bare)) as packaged:
            answered = [ask(packaged.url("netlify"), question) for question in QUESTIONS]
            took = time.perf_counter() - began
        for path in (task, *task.rglob("*")):
            path.chmod(0o755)
    same = answered == expected
    print(  # noqa: T201 - a command
        f"Python {version}: the {chosen.profile} package, {package.compiled} of {package.files}"
        f" files its bytecode, {len(QUESTIONS)} questions in {took:.1f} s from the first process:"
        f" {'the same answers as the tree' if same else 'OTHER ANSWERS THAN THE TREE'}"
    )
    if not same:
        print(json.dumps({"tree": expected, "package": answered}, indent=1)[:20_000])  # noqa: T201
    return 0 if same else 1


def ask_version(interpreter: str) -> str:
    """The version as `3.14`."""
    say = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([interpreter, "-c", say], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def unpack(archive: Path, task: Path) -> Path:
    """Unpack as Lambda does, where nothing can be written, and put the template beside it."""
    with zipfile.ZipFile(archive) as package:
        for info in package.infolist():
            path = Path(package.extract(info, task))
            path.chmod(stat.S_IMODE(info.external_attr >> 16) or 0o644)
    for name in ("template.yaml", "netlify.toml"):
        (task / name).write_bytes((ROOT / name).read_bytes())
    (task / "netlify" / "site").mkdir(parents=True)
    for path in (task, *task.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    return task


def write_wrapper(path: Path, interpreter: str) -> Path:
    """An interpreter with the standard library and what its folder has, no site-packages."""
    path.write_text(f'#!/bin/sh\nexec {interpreter} -S -E "$@"\n')
    path.chmod(0o755)
    return path


@contextmanager
def serve(template: Path, python: str) -> Iterator[RunningCloud]:
    """The functions of a template in processes of this interpreter."""
    assert Options().python == sys.executable
    with run_cloud(template, concurrency=8, options={"python": python}, watch=False) as cloud:
        yield cloud


def ask(url: str, question: str) -> dict[str, Any]:
    """The result in JSON mode, and the events of a stream, without what is new in every run."""
    streamed = post(url, question, streaming=True)
    events = [json.loads(line[6:]) for line in streamed.split("\n") if line.startswith("data: ")]
    kinds: list[str] = []
    for event in events:
        if kinds[-1:] != [event["type"]]:
            kinds.append(event["type"])
    return {
        "json": strip(json.loads(post(url, question, streaming=False))),
        "kinds": kinds,
        "text": "".join(event["text"] for event in events if event["type"] == "token"),
        "final": strip(events[-1]),
    }


def strip(value: Any) -> Any:
    """A copy without the fields of `VOLATILE`."""
    if isinstance(value, dict):
        return {key: strip(one) for key, one in value.items() if key not in VOLATILE}
    return [strip(one) for one in value] if isinstance(value, list) else value


def post(url: str, question: str, *, streaming: bool) -> str:
    """The body of one answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    body = json.dumps({"query": question, "streaming": streaming})
    connection.request("POST", "/api/chat", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status != 200:
        raise SystemExit(f"{url} answers {response.status}: {text[:500]}")
    return text


if __name__ == "__main__":
    sys.exit(main())
