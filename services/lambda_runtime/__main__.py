"""``python -m services.lambda_runtime``: the first line and the last one of the process.

What lies between is in `start`.
"""

import os
import sys
import traceback

from . import gc_tuning


def run() -> int:
    """Everything but the exit. Gives the exit status."""
    gc_tuning.relax()
    import logging

    from .start import main

    try:
        status = main()
        logging.shutdown()
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 (the last line of defence before the process ends)
        traceback.print_exc()
        return 1
    return status


if __name__ == "__main__":
    os._exit(run())  # a handler's thread that never returns must not keep a dead sandbox
