"""The example is what it says, and the manual mentions what there is."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from tests.services.lambda_runtime.harness import http, run_runtime

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "any_asgi_app"
MANUAL = ROOT / "docs" / "lambda-runtime.md"


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("any_asgi_app", EXAMPLE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.anyio
async def test_the_example_streams() -> None:
    """One event per tick."""
    async with run_runtime(load_example().app) as h:
        call = await h.invoke(http(query="ticks=1"))
        nonsense = await h.invoke(http(query="ticks=1_0&ticks=0"))
    assert re.fullmatch(rb"data: [\dT:+-]+\n\n", call.content)
    assert nonsense.content == b""


def test_the_template_names_what_is_there() -> None:
    """Handler and wrapper exist under the names the template gives them."""
    template = (EXAMPLE / "template.yaml").read_text()
    assert "Handler: app.app" in template
    assert "AWS_LAMBDA_EXEC_WRAPPER: /var/task/bootstrap" in template
    assert (ROOT / "bootstrap").exists()
    assert hasattr(load_example(), "app")


def test_the_manual_mentions_every_variable_and_error_type() -> None:
    """What the code reads from its environment, and what it tells Lambda."""
    manual = MANUAL.read_text()
    package = ROOT / "services" / "lambda_runtime"
    source = "".join(path.read_text() for path in package.glob("*.py"))
    names = set(re.findall(r'"((?:AWS_LAMBDA|RIVERRUN|LAMBDA|_[A-Z]+)_[A-Z_]+)"', source))
    names |= {"_HANDLER", "RIVERRUN_EXEC_WRAPPER_NEXT"}
    names -= {name for name in names if name.startswith("AWS_LAMBDA_FUNCTION")}
    names -= {"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"}
    types = set(re.findall(r'"((?:Runtime|Function)\.[A-Z][A-Za-z]+)"', source))
    missing = {name for name in names | types if f"`{name}`" not in manual}
    assert not missing
