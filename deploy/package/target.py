"""The machine a package is for: what the template's functions run on, or what a person says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.template import mapping
from services.errors import SetupError

# Amazon Linux 2023 has glibc 2.34; 2.28 is what wheels are built for nowadays.
_LIBC = "manylinux_2_28"
_MACHINES = {"arm64": "aarch64", "aarch64": "aarch64", "x86_64": "x86_64"}
_WHEEL_TAG = re.compile(r"(manylinux(?:20\d\d|_2_\d+))_(aarch64|x86_64)")
_PLATFORM = re.compile(r"(aarch64|x86_64)-(manylinux(?:20\d\d|_2_\d+))")


@dataclass(frozen=True, slots=True)
class Target:
    """A Python version as `3.14`, and a platform as uv writes it, `aarch64-manylinux_2_28`."""

    python: str
    platform: str

    @property
    def machine(self) -> str:
        """The processor, as Python's `platform.machine()` names it."""
        return self.platform.partition("-")[0]


def target_of(document: Mapping[str, Any]) -> Target:
    """What `Globals` of a template says all functions run on. Raises `SetupError`."""
    shared = mapping(mapping(document.get("Globals")).get("Function"))
    runtime, architectures = str(shared.get("Runtime")), shared.get("Architectures")
    if not runtime.startswith("python3.") or not isinstance(architectures, list):
        raise SetupError(
            "The template's Globals name no Python runtime and architecture to build for."
        )
    return Target(read_python(runtime.removeprefix("python")), read_platform(str(architectures[0])))


def read_python(text: str) -> str:
    """A version, `3.14`. Raises `SetupError`."""
    if not re.fullmatch(r"3\.\d{1,2}", text, re.ASCII):
        raise SetupError(f"{text!r} is no Python version. Write it as 3.14.")
    return text


def read_platform(text: str) -> str:
    """A platform, from Lambda's name, a wheel's tag, or uv's name. Raises `SetupError`."""
    if text in _MACHINES:
        return f"{_MACHINES[text]}-{_LIBC}"
    if tag := _WHEEL_TAG.fullmatch(text):
        return f"{tag[2]}-{tag[1]}"
    if _PLATFORM.fullmatch(text):
        return text
    raise SetupError(
        f"{text!r} is no platform. Use arm64, x86_64, or a wheel's tag as manylinux_2_28_aarch64."
    )
