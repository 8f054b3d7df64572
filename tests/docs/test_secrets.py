"""No credential is in the repository: what looks like one is made up, and says so here."""

import re
import subprocess

from services.settings import ROOT

CREDENTIAL = re.compile(
    r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|sk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}|gh[pousr]_[A-Za-z0-9]{36}"
    r"|xox[abpr]-[A-Za-z0-9-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# AWS's own example, in the test of a policy that finds it.
MADE_UP = {"AKIAIOSFODNN7EXAMPLE"}
BINARY = {".png", ".webp", ".ico", ".woff2", ".zip", ".pdf", ".gz", ".whl", ".tgz", ".npy"}


def test_nothing_that_looks_like_a_credential_is_in_the_repository() -> None:
    """In any file that git knows."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in BINARY or not path.is_file():
            continue
        text = path.read_text("utf-8", "replace")
        found += [
            f"{name}: {match[0][:12]}…"
            for match in CREDENTIAL.finditer(text)
            if match[0] not in MADE_UP
        ]
    assert found == []
