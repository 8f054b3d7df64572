"""New and changed files of this folder, taken while `make serve` runs.

Looked for at each call rather than now and then: a request that comes after a file was saved meets
it. What the files import is loaded once, as anywhere in Python.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from starlette.applications import Starlette

Stamps = dict[str, tuple[int, int]]

logger = logging.getLogger("riverrun.functions")


class FolderChanges:
    """What changed in a package's folder since the last look."""

    def __init__(self, folder: Path, package: str) -> None:
        self._folder = folder
        self._package = package
        self._stamps = read_stamps(folder)

    def take(self, apps: MutableMapping[str, Starlette]) -> None:
        """Bring `apps`, by their modules' names, to what the files say now.

        A file that cannot be loaded is told once, and what it said before goes on; so does all of
        it while the folder cannot be read.
        """
        before = self._stamps
        try:
            stamps = read_stamps(self._folder)
        except OSError:
            return  # no descriptor is left for it, for instance
        if stamps == before:
            return
        self._stamps = stamps
        for name in before.keys() - stamps.keys():
            apps.pop(name, None)
            logger.warning("functions/%s.py is gone: nothing is served for it any more.", name)
        for name in sorted(name for name in stamps if stamps[name] != before.get(name)):
            self._load(name, apps)

    def _load(self, name: str, apps: MutableMapping[str, Starlette]) -> None:
        full = f"{self._package}.{name}"
        path = self._folder / f"{name}.py"
        # Compiled from what stands there: the cache of bytecode counts in whole seconds.
        loader = SourceFileLoader(full, str(path))
        spec = spec_from_loader(full, loader)
        assert spec is not None
        module, old = module_from_spec(spec), sys.modules.get(full)
        sys.modules[full] = module
        try:
            exec(loader.source_to_code(path.read_bytes(), str(path)), module.__dict__)  # noqa: S102
        except Exception:
            if old is None:
                del sys.modules[full]
            else:
                sys.modules[full] = old
            logger.exception("functions/%s.py cannot be loaded: it is served as it was.", name)
            return
        app = getattr(module, "app", None)
        if isinstance(app, Starlette):
            apps[name] = app
            logger.warning("functions/%s.py is served as it is now.", name)
        else:
            apps.pop(name, None)


def read_stamps(folder: Path) -> Stamps:
    """Read when each module of a folder was changed, and how long it is."""
    stamps: Stamps = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py") and entry.name[0] != "_" and entry.name != "web.py":
                try:
                    found = entry.stat()
                except FileNotFoundError:  # it went away while we looked
                    continue
                stamps[entry.name[:-3]] = (found.st_mtime_ns, found.st_size)
    return stamps
