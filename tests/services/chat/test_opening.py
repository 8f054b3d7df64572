"""`open_chat` picks the provider the settings name."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from services.chat import open_chat
from services.chat.opening import PROVIDERS
from services.errors import SetupError
from services.settings import CHAT_PROVIDERS, Settings


def test_every_provider_the_settings_know_can_be_opened(tmp_path: Path) -> None:
    """Settings and providers list the same names, and each answers to its own."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"when": "*", "steps": []}]))
    assert set(CHAT_PROVIDERS) <= set(PROVIDERS)
    for name in PROVIDERS:
        assert open_chat(Settings(chat=name, script=script)).model == name


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    """The error lists what could have been written."""
    with pytest.raises(SetupError, match=r"'oracle'.*extractive, scripted"):
        open_chat(replace(Settings(), chat="oracle"))


def test_scripted_without_a_script_says_which_variable_is_missing() -> None:
    """The message names RIVERRUN_SCRIPT."""
    with pytest.raises(SetupError, match="RIVERRUN_SCRIPT"):
        open_chat(Settings(chat="scripted"))


def test_importing_chat_imports_no_engine() -> None:
    """A cold start pays for numpy or a model only when something uses it."""
    code = "import sys, services.chat.extractive, services.chat; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "False"
