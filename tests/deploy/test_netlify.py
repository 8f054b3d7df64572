"""netlify.toml: a page, a gateway once there is one, and nothing that could not work."""

import re
import tomllib

from tests.deploy.conftest import ROOT

TEXT = (ROOT / "netlify.toml").read_text()
CONFIG = tomllib.loads(TEXT)
EDGE = ROOT / "netlify" / "edge-functions"


def test_the_published_folder_is_the_page() -> None:
    """Nothing is built, and no source is published."""
    publish = ROOT / CONFIG["build"]["publish"]
    assert (publish / "index.html").is_file()
    assert not list(publish.rglob("*.py"))


def test_edge_functions_are_declared_exactly_where_there_is_a_file() -> None:
    """A declaration without a file breaks the build; a file without one is never called."""
    declared = {entry["function"] for entry in CONFIG.get("edge_functions", [])}
    files = {path.stem for path in EDGE.glob("*.*js")} if EDGE.is_dir() else set()
    assert declared == files


def test_a_gateway_answers_under_both_names() -> None:
    """The page asks at /api; the first address of every function is Netlify's own."""
    paths = [entry["path"] for entry in CONFIG.get("edge_functions", [])]
    assert not paths or set(paths) == {"/api/*", "/.netlify/functions/*"}


def test_no_rule_does_what_netlify_refuses() -> None:
    """Rules from /.netlify are dropped; rewrites to other hosts are cut after 26 s."""
    for rule in CONFIG.get("redirects", []):
        assert not rule["from"].startswith("/.netlify")
        assert not rule["to"].startswith("http")


def test_nothing_looks_like_a_secret() -> None:
    """The file is public; secrets are set in Netlify's own settings."""
    assert not re.search(r"AKIA[A-Z0-9]{12}|secret|token|password|Bearer", TEXT, re.IGNORECASE)
    assert "environment" not in CONFIG["build"]
