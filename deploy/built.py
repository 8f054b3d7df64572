"""The template that is sent: the source with the zip in place of the tree.

A text stays a text, so comments and order survive and a diff shows what was changed.
"""

import os
from pathlib import Path

from deploy.package import Plan
from deploy.package.target import target_of
from deploy.template import parse_template
from services.errors import SetupError

_HEADER = "# Written by `make build` from template.yaml; edit that one.\n"

# What a package without the embedded engine cannot be told to use.
_BEDROCK_ONLY = (
    ("    Default: local\n", "    Default: bedrock\n"),
    ("    AllowedValues: [local, bedrock]\n", "    AllowedValues: [bedrock]\n"),
)


def write_built(source: Path, target: Path, package: Path, plan: Plan) -> None:
    """Write `target`, which deploys `package`.

    Raises `SetupError` when the package is for another machine than the functions, or the
    source does not say what is replaced here in the expected words.
    """
    text = source.read_text("utf-8")
    if (wanted := target_of(parse_template(text))) != plan.target:
        raise SetupError(
            f"The package is for Python {plan.target.python} on {plan.target.platform}, the "
            f"functions run Python {wanted.python} on {wanted.platform}. Change the template's "
            "Runtime and Architectures, or leave --python and --platform out."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(os.path.relpath(package.resolve(), target.parent.resolve())).as_posix()
    changes = [("    CodeUri: .\n", f"    CodeUri: {place}\n")]
    if plan.profile == "bedrock":
        changes.extend(_BEDROCK_ONLY)
    for old, new in changes:
        if text.count(old) != 1:
            raise SetupError(f"{source} says {old.strip()!r} {text.count(old)} times, not once.")
        text = text.replace(old, new)
    target.write_text(_HEADER + text, "utf-8")
