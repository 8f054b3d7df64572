"""The image of a customer-managed runtime: its tree, by its Dockerfile, under the emulator."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.emulator.support import Gate, raw, read_until, run_cloud

DOCKERFILE = ROOT / "deploy" / "runtime" / "Dockerfile"

# It waits until it is let to before each part but the first: what is read before was streamed.
APP = """
import asyncio, os, services
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    answers, gate = await asyncio.open_connection("127.0.0.1", int(os.environ["RIVERRUN_GATE"]))
    for part in (services.NAME, os.environ.get("WRAPPED", "as it is")):
        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
        gate.write(b"?")
        await answers.readexactly(1)
    await send({"type": "http.response.body", "body": b"."})
"""
WRAPPER = '#!/bin/sh\nexport WRAPPED=wrapped\nexec "$@"\n'


def lay_out(image: Path) -> None:
    """Do what the Dockerfile says, with this interpreter in the place of the base image's."""
    copies = re.findall(r"^COPY (\S+) (\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert copies
    for source, target in copies:
        place = image / target.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place)
        else:
            shutil.copy(ROOT / source, place)
    (image / "var/lang/bin").mkdir(parents=True)
    (image / "var/lang/bin/python3").symlink_to(sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("wrapper", [False, True], ids=["plain", "wrapped"])
def test_a_function_without_a_copy_of_the_runtime_streams(tmp_path: Path, wrapper: bool) -> None:
    """And has a folder called `services` of its own, which the runtime does not hide."""
    lay_out(tmp_path / "image")
    package = tmp_path / "package"
    (package / "services").mkdir(parents=True)
    (package / "services/__init__.py").write_text('NAME = "mine "\n')
    (package / "app.py").write_text(APP)
    # The emulator looks for the start of a runtime that AWS does not bring in the package, and
    # takes a wrapper for one.
    start, wrap = tmp_path / "image/var/runtime/bootstrap", package / "wrap"
    wrapped = f"export AWS_LAMBDA_EXEC_WRAPPER='{wrap}'\n" if wrapper else ""
    (package / "bootstrap").write_text(f"#!/bin/sh\n{wrapped}exec '{start}'\n")
    wrap.write_text(WRAPPER)
    for script in (wrap, package / "bootstrap"):
        script.chmod(0o755)
    gate = Gate()
    properties = {
        "FunctionName": "mine",
        "Handler": "app.app",
        "Runtime": "provided.al2023",
        "CodeUri": str(package),
        "Timeout": 120,
        "FunctionUrlConfig": {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"},
        "Environment": {"Variables": {"RIVERRUN_GATE": str(gate.port)}},
    }
    template = tmp_path / "template.yaml"
    function = {"Type": "AWS::Serverless::Function", "Properties": properties}
    template.write_text(json.dumps({"Resources": {"Mine": function}}))
    with run_cloud(template, concurrency=None, options={"init_limit": 60.0}) as started:
        try:
            with raw(started.url("url mine"), "/") as sock:
                assert b"mine " in read_until(sock, b"mine ")
                gate.open()
                said = b"wrapped" if wrapper else b"as it is"
                assert said in read_until(sock, said)
                gate.open()
                assert b"0\r\n\r\n" in read_until(sock, b"0\r\n\r\n")
        finally:
            gate.close()
