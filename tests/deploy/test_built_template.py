"""The template that is sent: the same, with the package."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.built_template import write_built
from deploy.package import PROFILES, Plan
from deploy.package.target import Target
from deploy.policy import check
from deploy.template import parse_template
from services.errors import SetupError
from tests.deploy.conftest import ROOT

SOURCE = ROOT / "template.yaml"


@pytest.fixture
def arm(plan: Plan) -> Plan:
    """A plan for what the template's functions run on."""
    return replace(plan, target=Target("3.14", "aarch64-manylinux_2_28"))


def test_little_changes_for_the_embedded_profile(arm: Plan, tmp_path: Path) -> None:
    """The code, one line a host, the engine it lacks, and the note that says where to edit."""
    target = tmp_path / "build" / "template.yaml"
    write_built(SOURCE, target, tmp_path / "dist" / "riverrun.zip", arm)
    before, after = SOURCE.read_text().splitlines(), target.read_text().splitlines()
    changed = [line for line in after[1:] if line not in before]
    assert changed[:1] == ["    AllowedValues: [local, bedrock, openai]"]
    assert changed[-2:] == [f"{blank}CodeUri: ../dist/riverrun.zip" for blank in (" " * 4, " " * 6)]
    assert len(changed) == 4
    assert check(parse_template(target.read_text())) == []


# What is in the package and what it is for, by what the template calls it.
ENGINE, CLIENT = {"Embedding=local"}, {"Chat=openai", "Embedding=openai"}
SECOND = {"Embedding=multilingual"}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_package_cannot_be_told_to_use_what_is_not_in_it(
    arm: Plan, tmp_path: Path, profile: str
) -> None:
    """CloudFormation itself refuses it then, and says which package could."""
    target = tmp_path / "template.yaml"
    write_built(SOURCE, target, tmp_path / "riverrun.zip", replace(arm, profile=profile))
    document = parse_template(target.read_text())
    chosen = {name: document["Parameters"][name] for name in ("Chat", "Embedding")}
    offered = {f"{name}={value}" for name in chosen for value in chosen[name]["AllowedValues"]}
    without = PROFILES[profile].without
    missing = (ENGINE if "onnxruntime" in without else set()) | (
        CLIENT if "openai" in without else set()
    )
    missing |= set() if PROFILES[profile].adds else SECOND
    assert (ENGINE | CLIENT | SECOND) - offered == missing
    for name, parameter in chosen.items():
        assert parameter["Default"] in parameter["AllowedValues"]
        left_out = any(one.startswith(f"{name}=") for one in missing)
        assert ("PROFILE=" in parameter.get("ConstraintDescription", "")) == left_out
    assert check(document) == []


@pytest.mark.parametrize(
    "target", [Target("3.13", "aarch64-manylinux_2_28"), Target("3.14", "x86_64-manylinux_2_28")]
)
def test_a_package_for_another_machine_is_refused(
    arm: Plan, tmp_path: Path, target: Target
) -> None:
    """It would fail at its first import, in the cloud."""
    with pytest.raises(SetupError, match="Runtime and Architectures"):
        write_built(SOURCE, tmp_path / "t.yaml", tmp_path / "z.zip", replace(arm, target=target))
    assert not (tmp_path / "t.yaml").exists()


def test_a_template_in_other_words_is_refused(arm: Plan, tmp_path: Path) -> None:
    """A replacement that finds nothing would upload the whole tree."""
    source = tmp_path / "source.yaml"
    source.write_text(SOURCE.read_text().replace("CodeUri: .", "CodeUri: ./"))
    with pytest.raises(SetupError, match="0 times, not once"):
        write_built(source, tmp_path / "t.yaml", tmp_path / "z.zip", arm)
