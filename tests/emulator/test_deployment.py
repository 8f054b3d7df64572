"""A template that changes while the cloud runs: real processes, told by the cloud's own lines."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.support import FUNCTIONS, Gate, RunningCloud, ask, process_state, run_cloud
from tests.emulator.test_function import pids
from tests.emulator.test_invoke_api import wait_for

pytestmark = pytest.mark.slow

PATIENCE = 90


def describe(name: str, **properties: Any) -> dict[str, Any]:
    """A function of the tests' bootstrap, as a resource."""
    settings = {
        "FunctionName": name,
        "Handler": f"tiny.{name}",
        "CodeUri": ".",
        "Timeout": 60,
        "Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap"}},
        "FunctionUrlConfig": {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"},
        **properties,
    }
    return {"Type": "AWS::Serverless::Function", "Properties": settings}


class Folder:
    """A folder with the tests' bootstrap and a template that can be changed."""

    def __init__(self, path: Path) -> None:
        self.template = path / "template.yaml"
        for name in ("bootstrap", "tiny_runtime.py"):
            (path / name).write_bytes((FUNCTIONS / name).read_bytes())
            (path / name).chmod(0o755)

    def say(self, *functions: dict[str, Any]) -> None:
        """Make these the template's functions."""
        named = {f["Properties"]["FunctionName"].title(): f for f in functions}
        self.template.write_text(json.dumps({"Resources": named}))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder, with one function."""
    made = Folder(tmp_path)
    made.say(describe("one"))
    return made


@pytest.fixture
def cloud(folder: Folder) -> Iterator[RunningCloud]:
    """A cloud that follows the folder."""
    with run_cloud(folder.template, concurrency=4, watch=True) as started:
        assert ask(started.url("url one"), {"say": ["x"]}).body == b"x"
        yield started


def wait_for_line(cloud: RunningCloud, text: str) -> None:
    """Wait until the cloud has said something."""
    wait_for(lambda: bool(cloud.log_lines(text)), PATIENCE)


def test_a_new_stanza_is_served_without_a_restart(cloud: RunningCloud, folder: Folder) -> None:
    """By name, by its path of the API, at a URL of its own; what was there keeps its process."""
    old = pids(cloud, "one")
    path = {"Path": "/here", "Method": "get", "ResponseTransferMode": "RESPONSE_STREAM"}
    events = {"Events": {"e": {"Type": "Api", "Properties": path}}}
    folder.say(describe("one"), describe("two", **events))
    wait_for_line(cloud, "two is on")
    assert cloud.log_lines("template.yaml was read again: two added")
    netlify = cloud.url("netlify")
    for url in (f"{netlify}/here", f"{netlify}/api/two", f"{netlify}/.netlify/functions/two"):
        assert ask(url, {"say": ["y"]}).body == b"y"
    assert ask(cloud.url("url two"), {"say": ["y"]}).body == b"y"
    assert ask(f"{cloud.url('rest')}/here", {"say": ["y"]}).body == b"y"
    known = ask(f"{cloud.url('invoke')}/emulator").json["functions"]
    assert [function["name"] for function in known] == ["one", "two"]
    assert pids(cloud, "one") == old


BROKEN = {
    "Resources: [": "cannot be read",
    "Resources: {One: 1}": "declares no",
    json.dumps({"Resources": {"O": describe("one", Timeout="soon")}}): "a number is due",
    json.dumps({"Resources": {"O": describe("one", Events={"e": 1})}}): "cannot be understood",
}


def test_a_broken_template_is_told_and_the_old_one_goes_on(
    cloud: RunningCloud, folder: Folder
) -> None:
    """In one line; when it is mended it is taken."""
    old = pids(cloud, "one")
    for broken, said in BROKEN.items():
        folder.template.write_text(broken)
        wait_for_line(cloud, said)
        (line,) = cloud.log_lines(said)
        assert line.endswith(" The cloud goes on with template.yaml as it was.")
        assert ask(cloud.url("url one"), {"say": ["x"]}).body == b"x"
    assert pids(cloud, "one") == old
    folder.say(describe("one"), describe("two"))
    wait_for_line(cloud, "two is on")
    assert ask(cloud.url("url two"), {"say": ["y"]}).body == b"y"


def test_a_changed_stanza_meets_new_invocations_and_spares_the_running(
    cloud: RunningCloud, folder: Folder, gate: Gate
) -> None:
    """A stream ends in the old process; the next one has the new environment."""
    url = cloud.url("url one")
    (old,) = pids(cloud, "one")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, url, {"say": ["a", "b"], "gate": gate.port})
        wait_for(lambda: cloud.cloud.functions["one"].busy == 1, PATIENCE)
        variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap", "COLOUR": "red"}
        folder.say(describe("one", Environment={"Variables": variables}))
        wait_for_line(cloud, "read again: one changed")
        wait_for(lambda: any(pid != old for pid in pids(cloud, "one")), PATIENCE)
        assert ask(url, {"echo": 1}).json["environ"]["COLOUR"] == "red"
        assert process_state(old) != ""
        gate.open()
        assert slow.result().body == b"ab"
    wait_for(lambda: process_state(old) == "", PATIENCE)


def test_a_removed_function_finishes_and_is_gone(
    cloud: RunningCloud, folder: Folder, gate: Gate
) -> None:
    """Its stream by name ends as it would have; its URL and its names answer no more."""
    netlify = cloud.url("netlify")
    (old,) = pids(cloud, "one")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, f"{netlify}/api/one", {"say": ["a", "b"], "gate": gate.port})
        wait_for(lambda: cloud.cloud.functions["one"].busy == 1, PATIENCE)
        folder.say(describe("two"))
        wait_for_line(cloud, "two is on")
        assert cloud.log_lines("two added; one removed")
        assert ask(f"{netlify}/api/one").status == 404
        assert "url one" not in cloud.cloud.urls
        assert process_state(old) != ""
        gate.open()
        assert slow.result().body == b"ab"
    wait_for(lambda: process_state(old) == "", PATIENCE)
