"""What is read from the disk again and again, read once for each process of the tests."""

from collections.abc import Iterator
from functools import cache

import botocore.session
import pytest
from botocore.loaders import create_loader


@pytest.fixture(scope="session", autouse=True)
def services_read_once() -> Iterator[None]:
    """Let the clients of all tests share what botocore reads of AWS's services.

    Each session reads and parses these files anew: a tenth of a second for every client.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(create_loader))
        yield
