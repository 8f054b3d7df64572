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


def _only(offered: str, left: str, says: str) -> tuple[str, str]:
    """The change that leaves `left` of the values a parameter offers, and says how to get more."""
    lines = (f"AllowedValues: [{left}]", "ConstraintDescription: >-", f"  This package {says}")
    return f"    AllowedValues: [{offered}]\n", "".join(f"    {line}\n" for line in lines)


_CHAT = "extractive, bedrock, openai"
_EMBEDDING = "local, multilingual, bedrock, openai"
_NO_SECOND = "has the first engine only; for multilingual build one with PROFILE=multilingual."

# What a package cannot be told to use, since it is not in there.
_NARROWER = {
    "embedded": (_only(_EMBEDDING, "local, bedrock, openai", _NO_SECOND),),
    "multilingual": (
        ("    Default: local\n", "    Default: multilingual\n"),
        _only(
            _EMBEDDING,
            "multilingual, bedrock, openai",
            "has the multilingual engine only; for local build one with PROFILE=embedded.",
        ),
    ),
    "openai": (
        ("    Default: local\n", "    Default: openai\n"),
        _only(_EMBEDDING, "bedrock, openai", "lacks the engine; build one with PROFILE=embedded."),
    ),
    "bedrock": (
        ("    Default: local\n", "    Default: bedrock\n"),
        _only(_EMBEDDING, "bedrock", "has boto3 only; build one with PROFILE=openai or embedded."),
        _only(_CHAT, "extractive, bedrock", "has boto3 only; build one with PROFILE=openai."),
    ),
}


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
    # Of the functions, by Globals, and of the Web Function.
    code = tuple(
        (f"\n{blank}CodeUri: .\n", f"\n{blank}CodeUri: {place}\n") for blank in (" " * 4, " " * 6)
    )
    changes = (*code, *_NARROWER[plan.profile])
    for old, new in changes:
        if text.count(old) != 1:
            raise SetupError(f"{source} says {old.strip()!r} {text.count(old)} times, not once.")
        text = text.replace(old, new)
    target.write_text(_HEADER + text, "utf-8")
