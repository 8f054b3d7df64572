"""netlify.toml: a page, a gateway, and nothing that could not work."""

import re
import tomllib

from tests.deploy.conftest import ROOT

TEXT = (ROOT / "netlify.toml").read_text()
CONFIG = tomllib.loads(TEXT)
BASE = ROOT / CONFIG["build"]["base"]
EDGE = BASE / CONFIG["build"]["edge_functions"]


def test_the_published_folder_is_the_page() -> None:
    """Nothing is built, and no source is published."""
    publish = BASE / CONFIG["build"]["publish"]
    assert (publish / "index.html").is_file()
    assert not list(publish.rglob("*.py"))
    assert not CONFIG["build"]["command"]


def test_netlify_installs_nothing() -> None:
    """It installs what its base lists; the lists beside netlify.toml are for Lambda and for us."""
    lists = ("requirements.txt", "runtime.txt", "Pipfile", "package.json", "Gemfile", "go.mod")
    assert [name for name in lists if (BASE / name).exists()] == []


def test_edge_functions_are_declared_exactly_where_there_is_a_file() -> None:
    """A declaration without a file breaks the build; a file without one is never called."""
    declared = {entry["function"] for entry in CONFIG["edge_functions"]}
    assert declared == {path.stem for path in EDGE.glob("*.*js")} == {"gateway"}
    assert [path for path in EDGE.iterdir() if path.is_dir()] == []
    assert "export const config" not in (EDGE / "gateway.mjs").read_text()


def test_the_gateway_answers_under_both_names() -> None:
    """The page asks at /api; the first address of every function is Netlify's own."""
    paths = [entry["path"] for entry in CONFIG["edge_functions"]]
    assert sorted(paths) == ["/.netlify/functions/*", "/api/*", "/v1/*"]
    assert all(path.startswith("/") for path in paths)


def test_no_functions_folder_hides_the_gateway() -> None:
    """Netlify looks for JavaScript functions there, and they would answer under the same name."""
    assert "functions" not in CONFIG
    assert "functions" not in CONFIG["build"]
    assert not (BASE / "netlify" / "functions").exists()


def test_the_gateway_needs_nothing_from_a_registry() -> None:
    """It holds the keys: every module it imports is a file of this repository, with its reason."""
    modules = [EDGE / "gateway.mjs", *(BASE / "gateway").glob("*.mjs")]
    for module in modules:
        for name in re.findall(r'^import .* from "(.+)";', module.read_text(), re.MULTILINE):
            assert (module.parent / name).resolve() in modules, name


def test_the_headers_of_the_page_are_said_in_one_place() -> None:
    """A second list here would win or lose by rules that are easily forgotten."""
    assert "headers" not in CONFIG
    policy = (BASE / CONFIG["build"]["publish"] / "_headers").read_text()
    assert "Content-Security-Policy: default-src 'self';" in policy
    assert "unsafe" not in policy


def test_no_rule_does_what_netlify_refuses() -> None:
    """Rules from /.netlify are dropped; rewrites to other hosts are cut after 26 s."""
    for rule in CONFIG.get("redirects", []):
        assert not rule["from"].startswith("/.netlify")
        assert not rule["to"].startswith("http")


def test_nothing_looks_like_a_secret() -> None:
    """The file is public; secrets are set in Netlify's own settings."""
    assert not re.search(r"AKIA[A-Z0-9]{12}|secret|token|password|Bearer", TEXT, re.IGNORECASE)
    assert "environment" not in CONFIG["build"]
