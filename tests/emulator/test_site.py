"""Rules of netlify.toml, and routes of an API."""

from pathlib import Path

import pytest

from emulator.cloudformation import EmulatorSetupError
from emulator.routes import find_route
from emulator.site import Redirect, read_site
from emulator.template import Route


@pytest.mark.parametrize(
    ("source", "target", "path", "query", "leads_to"),
    [
        ("/a", "/b", "/a", "", "/b"),
        ("/a", "/b", "/a/", "x=1", "/b?x=1"),
        ("/a", "/b?y=2", "/a", "x=1", "/b?y=2"),
        ("/a", "/b", "/ab", "", None),
        ("/a/*", "/b/:splat", "/a/c/d", "", "/b/c/d"),
        ("/a/*", "/b/:splat", "/a", "", "/b/"),
        ("/a/*", "/b", "/abc", "", None),
        ("/:year/:yearly", "/:yearly/:year", "/1/2", "", "/2/1"),
        ("/*", "/index.html", "/any/thing", "", "/index.html"),
        ("/", "/home", "/", "", "/home"),
    ],
)
def test_a_redirect_leads_where_it_says(
    source: str, target: str, path: str, query: str, leads_to: str | None
) -> None:
    """Splats and placeholders, slashes at the end, and the query that comes along."""
    assert Redirect(source, target).match(path, query) == leads_to


def test_a_redirect_may_ask_for_parameters() -> None:
    """All must be there; a placeholder's value is used in the target."""
    rule = Redirect("/a", "/b/:id", query={"id": ":id", "kind": "x"})
    assert rule.match("/a", "id=1%2F2&kind=x") == "/b/1%2F2"
    assert rule.match("/a", "id=1") is None
    assert rule.match("/a", "id=1&kind=y") is None


def test_no_file_outside_the_published_directory(tmp_path: Path) -> None:
    """Neither by dots nor by a link; files of rules are not published either."""
    (tmp_path / "secret.txt").write_text("x")
    site_folder = tmp_path / "site"
    site_folder.mkdir()
    (site_folder / "page.html").write_text("x")
    (site_folder / "_redirects").write_text("x")
    (site_folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "netlify.toml").write_text('[build]\npublish = "site"\n')
    site = read_site(tmp_path / "netlify.toml")
    for path in (
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/link.txt",
        "/_redirects",
        "/a\0b",
        "//etc/passwd",
    ):
        assert site.file(path) is None
    assert site.file("/page") == site.file("/page.html") != None  # noqa: E711 - both, and a file


def test_the_most_exact_route_is_taken() -> None:
    """Literals before parameters, parameters before the rest, a method before ANY."""
    routes = [
        Route(api="rest", method=method, path=path, function=f"{method} {path}")
        for method, path in [
            ("ANY", "/{proxy+}"),
            ("ANY", "/a/{id}"),
            ("GET", "/a/{id}"),
            ("ANY", "/a/b"),
            ("ANY", "$default"),
        ]
    ]

    def take_route(method: str, path: str) -> tuple[str, dict[str, str]]:
        found = find_route(routes, method, path)
        assert found
        return found[0].function, found[1]

    assert take_route("GET", "/a/b") == ("ANY /a/b", {})
    assert take_route("GET", "/a/c%20d") == ("GET /a/{id}", {"id": "c d"})
    assert take_route("POST", "/a/c") == ("ANY /a/{id}", {"id": "c"})
    assert take_route("POST", "/x/y/z") == ("ANY /{proxy+}", {"proxy": "x/y/z"})
    assert take_route("POST", "/") == ("ANY $default", {})
    assert find_route(routes[:1], "GET", "/") is None


HEADERS = """# a remark
  X-Lost: it stands below no path
/*
  X-Frame-Options: DENY
  # X-Commented: out
  Link: <https://a.example/b>; rel=x
/assets/*
  X-Frame-Options: SAMEORIGIN
nonsense
"""


def test_the_headers_file_of_the_published_folder_is_read(tmp_path: Path) -> None:
    """A path, and the headers below it; later rules win, those of netlify.toml last."""
    (tmp_path / "_headers").write_text(HEADERS)
    toml = '[build]\npublish = "."\n[[headers]]\nfor = "/last"\n[headers.values]\nLink = "none"\n'
    (tmp_path / "netlify.toml").write_text(toml)
    site = read_site(tmp_path / "netlify.toml")
    everywhere = {"X-Frame-Options": "DENY", "Link": "<https://a.example/b>; rel=x"}
    assert dict(site.headers_for("/")) == everywhere
    assert dict(site.headers_for("/assets/a.js"))["X-Frame-Options"] == "SAMEORIGIN"
    assert dict(site.headers_for("/last")) == everywhere | {"Link": "none"}
    (tmp_path / "_headers").write_bytes(b"\xff")
    with pytest.raises(EmulatorSetupError, match="_headers"):
        read_site(tmp_path / "netlify.toml")
