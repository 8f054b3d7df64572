"""What was asked is kept once, however many commands end at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from riverrun_client.cli.history import KEEP, read_history, remember


def test_commands_that_end_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each adds its line to all of the others'; only this user can read them."""
    path = tmp_path / "state" / "history.ndjson"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: remember(path, "u", f"run{n}", "s", "q"), range(40)))
    assert {asked.run for asked in read_history(path, "u")} == {f"run{n}" for n in range(40)}
    assert path.stat().st_mode & 0o077 == 0


def test_the_last_questions_are_kept(tmp_path: Path) -> None:
    """And no more."""
    path = tmp_path / "history.ndjson"
    path.write_text("\n".join(["no JSON"] * 500))
    remember(path, "u", "r", "s", "q")
    assert len(path.read_text().splitlines()) == KEEP
