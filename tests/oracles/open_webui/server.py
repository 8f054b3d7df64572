"""A real Open WebUI, as docs/openai.md sets it up, with Riverrun behind it."""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.settings import ROOT
from tests.ports import find_ports

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "riverrun"
BIN = CACHE / "open-webui" / "venv" / "bin"
IS_INSTALLED = (CACHE / "open-webui" / ".stamp").exists()

START_SECONDS = 240

# So that it asks nothing of the network, and one person needs no password.
OFFLINE = {
    "ENABLE_OLLAMA_API": "false",
    "ENABLE_VERSION_UPDATE_CHECK": "false",
    "HF_HUB_OFFLINE": "1",
    "OFFLINE_MODE": "true",
    "WEBUI_AUTH": "false",
    "WEBUI_SECRET_KEY": "a test",
}


def read_manual(riverrun: str) -> dict[str, str]:
    """Return the settings of Open WebUI that docs/openai.md names, with this address."""
    manual = (ROOT / "docs" / "openai.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```ini\n(.+?)```", manual, re.DOTALL)
    settings = dict(line.split("=", 1) for line in lines.splitlines())
    return {name: v.replace("http://localhost:8888", riverrun) for name, v in settings.items()}


@contextmanager
def run_open_webui(riverrun: str, home: Path) -> Iterator[str]:
    """An Open WebUI that speaks to `riverrun`, for as long as the block lasts; its address."""
    (port,) = find_ports(1)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = {**kept, **OFFLINE, **read_manual(riverrun), "DATA_DIR": str(home)}
    command = [str(BIN / "open-webui"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    said = home / "said.txt"
    with said.open("wb") as log:
        server = subprocess.Popen(command, env=environ, cwd=home, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_SECONDS
        while not _answers(f"{url}/health"):
            is_starting = server.poll() is None and time.monotonic() < until
            assert is_starting, said.read_text()[-2000:]
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        finally:
            server.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
