"""Where other people's applications run: uvicorn, and the real `bootstrap` under the emulator.

The applications and what they stand on are in `apps`, in a virtual environment of their own
that `tests/oracles/install` makes.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.emulator.support import run_cloud
from tests.oracles.programs import ORACLES, ROOT

APPS = Path(__file__).parent / "apps"
APPS_PYTHON = ORACLES / "apps" / "bin" / "python"
HOSTS = ("uvicorn", "concurrent", "on demand")
"""`concurrent` is one process with many invocations; `on demand` one classic sandbox, frozen
between invocations: what comes too early for it is answered 429."""

needs_apps = pytest.mark.skipif(
    not (ORACLES / "apps" / ".stamp").exists(),
    reason="other people's applications are not in .oracles; tests/oracles/install puts them there",
)

_TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  App:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: app
      Handler: {handler}
      Runtime: python3.13
      Timeout: {timeout}
      ReservedConcurrentExecutions: 1
      CodeUri: {apps}
      Environment: {{Variables: {{{variables}}}}}
      FunctionUrlConfig: {{AuthType: NONE, InvokeMode: {mode}}}
"""


@contextlib.contextmanager
def serve(
    host: str,
    handler: str,
    folder: Path,
    *,
    mode: str = "RESPONSE_STREAM",
    stock: bool = False,
    timeout: int = 20,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[str]:
    """Serve `handler`, ``module.attribute`` of `apps`, until the block ends. Gives its URL."""
    if host == "uvicorn":
        with _uvicorn(handler.replace(".", ":"), environ) as url:
            yield url
        return
    variables = {"PYTHONPATH": str(ROOT), **environ}
    if not stock:
        variables["AWS_LAMBDA_EXEC_WRAPPER"] = str(ROOT / "bootstrap")
    if mode == "BUFFERED":
        variables["RIVERRUN_INVOKE_MODE"] = "buffered"
    template = folder / f"{host.replace(' ', '-')}-{stock}.yaml"
    text = ", ".join(f'{name}: "{value}"' for name, value in variables.items())
    template.write_text(
        _TEMPLATE.format(handler=handler, apps=APPS, mode=mode, timeout=timeout, variables=text)
    )
    concurrency = 32 if host == "concurrent" and not stock else None
    options: dict[str, Any] = {"python": str(APPS_PYTHON)}
    with run_cloud(template, concurrency=concurrency, options=options) as cloud:
        try:
            yield cloud.url("url app")
        finally:
            print("\n".join(cloud.lines))  # what a failed test shows


@contextlib.contextmanager
def _uvicorn(app: str, environ: Mapping[str, str]) -> Iterator[str]:
    process = subprocess.Popen(
        [APPS_PYTHON, APPS / "serve.py", app, APPS],
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        text=True,
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()
