"""A cold start pays for what it uses: importing a function imports no client and no model.

Nor what speaks to the clients of other ecosystems, which these functions never do.
"""

import json
import subprocess
import sys

import pytest

from services.settings import ROOT
from services.streaming.encoders import MODULES, NEGOTIABLE

HEAVY = (
    "boto3", "botocore", "numpy", "onnxruntime", "openai", "pydantic", "sqlite3", "urllib3",
    "xllamacpp",
)  # fmt: skip
DIALECTS = [f"services.streaming.encoders.{name}" for name in MODULES if name not in NEGOTIABLE]

PROGRAM = """
import importlib, json, os, sys
os.environ.update(
    RIVERRUN_EMBEDDING="bedrock",
    RIVERRUN_INDEX="s3://bucket/index",
    RIVERRUN_LOG="dynamodb://table",
)
importlib.import_module(sys.argv[1])
from services.streaming import default_app
app = default_app()
if sys.argv[2] == "opened":
    app.log, app.context
print(json.dumps(sorted(set(sys.argv[3:]) & set(sys.modules))))
"""


@pytest.mark.parametrize("stage", ["imported", "opened"])
@pytest.mark.parametrize("function", ["chat", "runs", "health"])
def test_no_client_is_imported_before_it_is_used(function: str, stage: str) -> None:
    """Not even when log and documents are opened: they are asked later, or never."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"functions.{function}", stage, *HEAVY, *DIALECTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
