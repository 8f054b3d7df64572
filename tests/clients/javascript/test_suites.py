"""The JavaScript client, under Node's own test runner, the type checker and the scales."""

import gzip
import json
import random
import re
import sys

import pytest

from tests.clients.javascript.installed import CLIENT, needs_packages, run

pytestmark = [pytest.mark.node, needs_packages]


@pytest.mark.parametrize(
    "suite",
    [
        "analytics",
        "applications",
        "content_sha256",
        "hosts",
        "react",
        "runs",
        "sse",
        "stop",
        "stream",
    ],
)
def test_a_part_of_the_client_keeps_its_promises(suite: str) -> None:
    """Each file of tests passes; its report is shown when it does not."""
    run("node", "--test", "--test-reporter=dot", f"{suite}.test.mjs")


def _agree(rounds: int) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"SEED={seed}\n")
    run("node", "--test", "fuzz.test.mjs", ROUNDS=str(rounds), SEED=str(seed))


def test_the_parser_agrees_with_the_reference_one() -> None:
    """A share of the long run; the seed is in the report."""
    _agree(20_000)


@pytest.mark.soak
def test_the_parser_agrees_with_the_reference_one_a_million_times() -> None:
    """Random streams with everything that matters to a parser, in random cuts."""
    _agree(1_000_000)


def test_the_types_are_strict() -> None:
    """What the comments say of types holds, and a user's compiler gets declarations of it."""
    run("tsc", "-p", ".", "--noEmit", cwd=CLIENT)


def test_the_core_and_the_hook_stay_small() -> None:
    """As an application ships them: bundled, minified, gzipped; the README says the same."""
    core, hook = re.findall(r"(\d\.\d) KB", (CLIENT / "README.md").read_text())
    assert _size("src/index.js") < float(core) * 1024 <= 4.2 * 1024
    # Alone, beside a core that another file of the application brought.
    alone = _size("src/react.js", "--external:./stream.js", "--external:./errors.js")
    assert alone < float(hook) * 1024 <= 1.5 * 1024


MINIFIED = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--external:react")


def _size(module: str, *options: str) -> int:
    bundle = run("esbuild", module, *MINIFIED, *options, cwd=CLIENT)
    return len(gzip.compress(bundle.encode(), 9, mtime=0))


def test_the_client_depends_on_nothing() -> None:
    """Only React, and only for the hook; what is exported is there."""
    package = json.loads((CLIENT / "package.json").read_text())
    assert "dependencies" not in package
    assert package["peerDependenciesMeta"] == {"react": {"optional": True}}
    for name, kinds in package["exports"].items():
        assert (CLIENT / kinds["default"]).is_file(), name
    asked = {
        found
        for module in (CLIENT / "src").glob("*.js")
        for found in re.findall(r'^import .*from "([^.][^"]*)"', module.read_text(), re.MULTILINE)
    }
    assert asked == {"react"}


def test_every_development_package_is_pinned() -> None:
    """To one version each, and the lock file names no registry."""
    package = json.loads((CLIENT / "package.json").read_text())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", pin) for pin in package["devDependencies"].values())
    assert '"resolved"' not in (CLIENT / "package-lock.json").read_text()
