"""The examples in a folder of their own, with the client as `npm pack` makes it."""

import fcntl
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from services.settings import ROOT
from tests.clients.javascript.installed import CLIENT, run

EXAMPLES = ROOT / "examples" / "javascript"
MODULES = EXAMPLES / "node_modules"

needs_examples = pytest.mark.skipif(
    not (MODULES / ".stamp").exists(),
    reason="what builds the examples is not installed: examples/javascript/install",
)


def set_up(base: Path) -> Path:
    """The examples, once for all processes of a test run."""
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shop = base / "shop"
        if not shop.exists():
            making = base / "making"
            ignored = shutil.ignore_patterns("node_modules")
            shutil.copytree(EXAMPLES, making, ignore=ignored)
            (making / "node_modules" / "@riverrun").mkdir(parents=True)
            for module in MODULES.iterdir():
                if module.name != ".stamp":
                    (making / "node_modules" / module.name).symlink_to(module)
            pack(base)
            making.rename(shop)
    return shop


def pack(base: Path) -> None:
    """Make the tarball, and unpack it where an installation would."""
    environ = {"npm_config_cache": str(base / "cache"), "npm_config_update_notifier": "false"}
    run("tsc", "-p", ".", "--outDir", str(base / "types"), cwd=CLIENT)
    source = base / "source"
    ignored = shutil.ignore_patterns("node_modules", "types")
    shutil.copytree(CLIENT, source, ignore=ignored)
    shutil.copytree(base / "types", source / "types")
    subprocess.run(
        ["npm", "pack", "--ignore-scripts", "--silent"],
        cwd=source, env=os.environ | environ, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (tarball,) = source.glob("*.tgz")
    shutil.copy(tarball, base / "client.tgz")
    with tarfile.open(tarball) as archive:
        archive.extractall(base / "unpacked", filter="data")
    (base / "unpacked" / "package").rename(
        base / "making" / "node_modules" / "@riverrun" / "client"
    )


def node(shop: Path, *arguments: str, runtime: str = "node-22", **environ: str) -> str:
    """What a program of Node.js prints, which must succeed."""
    binary = shop / "node_modules" / runtime / "bin" / "node"
    if not binary.exists():
        pytest.skip(f"there is no {runtime} for this machine")
    return call([str(binary), *arguments], shop, **environ)


def call(command: list[str], cwd: Path, **environ: str) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
