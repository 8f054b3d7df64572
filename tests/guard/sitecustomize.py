"""Ends a Python process that a test started, when it tries to leave this machine.

Python imports this by its name when the folder is on PYTHONPATH; tests/conftest.py puts it there.
Ending is louder than raising: what a program catches, a test would not see.
"""

import os
import sys


def _is_local(host: object) -> bool:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return not isinstance(text, str) or (
        text in ("", "localhost", "::1", "::", "0.0.0.0") or text.startswith("127.")
    )


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if not _is_local(host):
        os.write(2, f"A process of the tests tried to reach {host!r}.\n".encode())
        os._exit(97)


sys.addaudithook(_watch)
