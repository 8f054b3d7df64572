"""The stock runtime's start, for functions without an exec wrapper.

Stands where the managed image has its own bootstrap: puts the package on the path and hands
over to `awslambdaric`, which buffers. Says so plainly when it is not installed.
"""

import os
import sys


def run() -> None:
    """Run the handler that `_HANDLER` names. Exits with status 1 when there is no runtime."""
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    try:
        from awslambdaric.__main__ import main
    except ImportError:
        sys.exit(
            "This function has no AWS_LAMBDA_EXEC_WRAPPER, and the stock runtime is not installed "
            f"for {sys.executable}: install awslambdaric, or set the wrapper."
        )
    main([sys.argv[0], os.environ["_HANDLER"]])


if __name__ == "__main__":
    run()
