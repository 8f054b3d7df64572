"""The garbage collector around a start."""

import gc
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from services.lambda_runtime import __main__

ROOT = Path(__file__).parents[3]
CASES = {
    "restored": ("", "gc.get_threshold() == usual"),
    "the application's own is kept": ("gc.set_threshold(5000)", "gc.get_threshold()[0] == 5000"),
    "a disabled collector stays so": ("gc.disable()", "not gc.isenabled()"),
    "what was there is frozen": ("", "gc.get_freeze_count() > 1000"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_relaxed_during_imports_and_restored_after(case: str) -> None:
    """In a process of its own: what is frozen stays frozen."""
    meanwhile, expected = CASES[case]
    script = (
        "import gc\n"
        "from services.lambda_runtime import gc_tuning\n"
        "usual = gc.get_threshold()\n"
        "gc_tuning.relax()\n"
        "assert gc.isenabled() and gc.get_threshold()[0] == gc_tuning.RELAXED_THRESHOLD\n"
        f"{meanwhile}\n"
        "gc_tuning.restore()\n"
        f"assert {expected}, gc.get_threshold()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_the_process_relaxes_the_collector_at_its_start() -> None:
    """The entry point asks for it before it imports the rest; importing it changes nothing."""
    before = gc.get_threshold()
    importlib.reload(__main__)

    assert gc.get_threshold() == before
    script = (
        "import gc, sys\n"
        "from services.lambda_runtime import __main__, gc_tuning\n"
        "assert 'asyncio' not in sys.modules\n"
        "__main__.run()\n"
        "assert gc.get_threshold()[0] == gc_tuning.RELAXED_THRESHOLD\n"
    )
    environ = {"PATH": "", "PYTHONPATH": str(ROOT)}  # no Runtime API: the start fails at once
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env=environ)
