"""Files that are saved while the emulator runs are noticed, whenever that is."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from emulator.watch import changes


@pytest.mark.anyio
async def test_what_is_saved_at_once_is_noticed(tmp_path: Path) -> None:
    """Before the second look, too; else it would wait for the next change."""
    async with aclosing(changes(lambda: [tmp_path], interval=0.01)) as changed:
        assert await anext(changed) == frozenset()
        (tmp_path / "one.py").write_text("1")
        assert await anext(changed) == {tmp_path / "one.py"}


@pytest.mark.anyio
async def test_what_was_seen_half_written_is_noticed_when_it_is_whole(tmp_path: Path) -> None:
    """Both within one tick of the disk's clock."""
    file = tmp_path / "template.yaml"
    file.touch()
    os.utime(file, ns=(1, 1))
    async with aclosing(changes(lambda: [tmp_path], interval=0.01)) as changed:
        await anext(changed)
        other = tmp_path / "whole"
        other.write_text("Resources:")
        os.utime(other, ns=(1, 1))
        other.replace(file)
        async with asyncio.timeout(30):
            assert await anext(changed) == {file}
