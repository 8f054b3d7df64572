"""Ports for programs of others that cannot be asked to find a free one themselves.

The system gives every server and client of the other tests a port of its own range. One from
outside it is free when it is found, and still when the program comes to listen there, which may be
a second later.
"""

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, HIGHEST = 10_000, 65_000


def find_ports(count: int) -> list[int]:
    """So many ports of this machine on which nothing listens."""
    first, last = (int(end) for end in RANGE.read_text().split()) if RANGE.exists() else (1, 0)
    outside = [port for port in range(LOWEST, HIGHEST) if not first <= port <= last]
    found: list[int] = []
    for port in random.sample(outside or range(LOWEST, HIGHEST), 500):
        if len(found) < count and _is_free(port):
            found.append(port)
    assert len(found) == count, "no port is free"
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
