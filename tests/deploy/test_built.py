"""The template that is sent: the same, with the package."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.built import write_built
from deploy.package import Plan
from deploy.package.target import Target
from deploy.policy import check
from deploy.template import defaults, parse_template
from services.errors import SetupError
from tests.deploy.conftest import ROOT

SOURCE = ROOT / "template.yaml"


@pytest.fixture
def arm(plan: Plan) -> Plan:
    """A plan for what the template's functions run on."""
    return replace(plan, target=Target("3.14", "aarch64-manylinux_2_28"))


def test_only_the_code_changes_for_the_embedded_profile(arm: Plan, tmp_path: Path) -> None:
    """A diff shows one line, and the note that says where to edit."""
    target = tmp_path / "build" / "template.yaml"
    write_built(SOURCE, target, tmp_path / "dist" / "riverrun.zip", arm)
    before, after = SOURCE.read_text().splitlines(), target.read_text().splitlines()
    changed = [(a, b) for a, b in zip(before, after[1:], strict=True) if a != b]
    assert changed == [("    CodeUri: .", "    CodeUri: ../dist/riverrun.zip")]
    assert check(parse_template(target.read_text())) == []


def test_a_package_without_the_engine_cannot_be_told_to_use_it(arm: Plan, tmp_path: Path) -> None:
    """CloudFormation itself refuses `Embedding=local` then."""
    target = tmp_path / "template.yaml"
    write_built(SOURCE, target, tmp_path / "riverrun.zip", replace(arm, profile="bedrock"))
    document = parse_template(target.read_text())
    assert defaults(document)["Embedding"] == "bedrock"
    assert document["Parameters"]["Embedding"]["AllowedValues"] == ["bedrock"]


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
