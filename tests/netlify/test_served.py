"""What the page serves is whole and what it says it is: the client, and two libraries."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.clients.javascript.installed import CLIENT, needs_packages
from tests.netlify.wire import SITE

VENDORED = json.loads((SITE / "vendor" / "vendored.json").read_text())


def test_the_page_serves_the_client_as_it_is() -> None:
    """One source: `npm run page` in clients/javascript copies it again after a change."""
    copies = list((SITE / "client").iterdir())
    assert copies
    for copy in copies:
        assert copy.read_bytes() == (CLIENT / "src" / copy.name).read_bytes(), copy.name


def test_every_module_the_page_asks_for_is_there() -> None:
    """Netlify publishes this folder and builds nothing."""
    for module in SITE.rglob("*.js"):
        if module.parent.name == "vendor":
            continue
        text = module.read_text()
        for name in re.findall(r'(?:^import|\sfrom|import\()\s*"(\.[^"]+)"', text, re.MULTILINE):
            assert (module.parent / name).is_file(), f"{module.name} imports {name}"


def test_every_module_is_asked_for_at_once_and_after_what_is_painted() -> None:
    """Not level by level as one imports the next, and not before the styles and the words."""
    found, waiting = set[Path](), [SITE / "app.js"]
    while waiting:
        module = waiting.pop().resolve()
        if module not in found:
            found.add(module)
            names = re.findall(
                r'(?:^import|\sfrom)\s*"(\.[^"]+)"', module.read_text(), re.MULTILINE
            )
            waiting += [module.parent / name for name in names]
    page = (SITE / "index.html").read_text()
    head, _, body = page.partition("<body>")
    preloads = re.findall(r'<link rel="modulepreload" href="([^"]+)">', body)
    assert sorted(["app.js", *preloads]) == sorted(str(m.relative_to(SITE)) for m in found)
    assert "module" not in head
    scripts = re.findall(r'<script src="([^"]+)">', head)
    assert re.findall(r'<link rel="preload" href="([^"]+)" as="script">', head) == scripts[1:]


@pytest.mark.parametrize("name", sorted(VENDORED))
def test_a_library_is_the_file_its_digest_names(name: str) -> None:
    """With its licence beside it."""
    digest = hashlib.sha256((SITE / "vendor" / name).read_bytes()).hexdigest()
    assert digest == VENDORED[name]["sha256"]
    assert (SITE / "vendor" / name.replace(".js", ".LICENSE.txt")).stat().st_size > 500


@needs_packages
@pytest.mark.parametrize("name", sorted(VENDORED))
def test_a_library_is_the_one_of_the_lock_file(name: str) -> None:
    """An update of the lock file is an update of the page."""
    known = VENDORED[name]
    package = CLIENT / "node_modules" / known["package"]
    assert json.loads((package / "package.json").read_text())["version"] == known["version"]
    assert (package / known["file"]).read_bytes() == (SITE / "vendor" / name).read_bytes()


def test_the_page_is_small() -> None:
    """What a visitor downloads, before it is compressed: less than one photograph."""
    kinds = (".html", ".css", ".js", ".svg")
    sizes = {path.name: path.stat().st_size for path in SITE.rglob("*") if path.suffix in kinds}
    assert sum(sizes.values()) < 300_000, sizes


def test_the_published_folder_holds_no_link_out_of_it() -> None:
    """What Netlify publishes is files."""
    assert not [path for path in SITE.rglob("*") if path.is_symlink()]
