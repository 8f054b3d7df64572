"""`main:app` as `tests.functions.deployed` runs the product, with a wall clock that can be set.

AWS_LAMBDA_PYTHON_ENTRYPOINT=asgi:tests.functions.deployed_web:app
"""

import os
import time
from pathlib import Path

from tests.functions.stepped import step

# Before anything of the product is imported, which takes the clock as a default.
time.time = step(time.time, Path(os.environ["CLOCK"]))

from tests.functions import deployed  # noqa: E402

deployed.prepare()

from main import app  # noqa: E402

__all__ = ["app"]
