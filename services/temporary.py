"""A folder for what this machine keeps for a while: downloads, unpacked weights."""

import os
import tempfile
from pathlib import Path

from .errors import SetupError


def open_private_folder() -> Path:
    """Return a folder of this user's own; no other user of the machine may write into it."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir(), f"riverrun-{owner}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != owner:
        raise SetupError(f"{folder} belongs to another user. Remove it, or set TMPDIR.")
    return folder
