"""`python -m deploy.package`: make the zip, say what it is."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.package import PROFILES, Package, Plan, build
from deploy.package.target import Target, read_platform, read_python, target_of
from deploy.template import read_template
from services.errors import SetupError
from services.settings import EMBEDDING_PROVIDERS, ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one package. Returns the exit status: 1 with one line when it cannot be made."""
    try:
        plan = read_plan(arguments)
        package = build(plan)
    except SetupError as error:
        print(error.message, file=sys.stderr)
        return 1
    print("\n".join(describe(package, plan)))
    return 0


def read_plan(arguments: Sequence[str] | None) -> Plan:
    """The plan for a command line. Raises `SetupError`."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package", description=__doc__)
    add = parser.add_argument
    add("--profile", choices=list(PROFILES), default="embedded")
    add("--python", help="its version; the template's, unless you say another")
    add("--platform", help="arm64, x86_64 or a wheel's tag; the template's, unless you say another")
    add("--interpreter", help="makes the bytecode; else pythonX.Y on the PATH, if it is there")
    add("--index", type=Path, help="a directory of make ingest, in place of the shipped index")
    add("--output", type=Path, help="the zip; dist/riverrun-PROFILE.zip")
    chosen = parser.parse_args(arguments)
    target = target_of(read_template(ROOT / "template.yaml"))
    return Plan(
        root=ROOT,
        output=chosen.output or ROOT / "dist" / f"riverrun-{chosen.profile}.zip",
        profile=chosen.profile,
        target=Target(
            read_python(chosen.python) if chosen.python else target.python,
            read_platform(chosen.platform) if chosen.platform else target.platform,
        ),
        index=chosen.index,
        interpreter=chosen.interpreter,
    )


def describe(package: Package, plan: Plan) -> list[str]:
    """What was made, for a person to read."""
    code = (
        f"{package.compiled} of them bytecode"
        if package.compiled
        else f"no bytecode: no python{plan.target.python} here, so cold starts will compile"
    )
    sizes = f"{package.zipped / 1e6:.1f} MB zipped, {package.unzipped / 1e6:.1f} MB unzipped"
    early = (
        ["  note      this code has no bedrock embedding yet: its functions would refuse to start"]
        if plan.profile == "bedrock" and "bedrock" not in EMBEDDING_PROVIDERS
        else []
    )
    return [
        f"{package.path}",
        f"  profile   {plan.profile}, Python {plan.target.python}, {plan.target.platform}",
        f"  size      {sizes}",
        f"  files     {package.files}, {code}",
        f"  sha256    {package.sha256}",
        f"  libraries {len(package.libraries)}, listed in {package.bill.name}",
        f"  took      {package.took:.1f} s",
        *early,
    ]


if __name__ == "__main__":
    sys.exit(main())
