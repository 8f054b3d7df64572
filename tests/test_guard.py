"""No test reaches the network: not through boto3, and not through a process it starts."""

import socket
import subprocess
import sys
from typing import Any

import boto3
import pytest
from botocore.config import Config


def test_boto3_meant_for_the_real_service_fails_the_test() -> None:
    """Whatever it calls; moto's missing operations would otherwise leave for the real one."""
    client: Any = boto3.session.Session().client(
        "s3vectors", config=Config(ignore_configured_endpoint_urls=True)
    )
    with pytest.raises(Exception, match="a test tried to look up 's3vectors"):
        client.list_vector_buckets()


def test_boto3_without_an_endpoint_finds_nobody() -> None:
    """A test that forgot its fake is told by its first call."""
    client: Any = boto3.session.Session().client("sts", config=Config(retries={"max_attempts": 0}))
    with pytest.raises(Exception, match=r"127\.0\.0\.1:1"):
        client.get_caller_identity()


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import socket; socket.getaddrinfo('example.invalid', 443)",
        "import urllib.request as r; r.urlopen('https://example.invalid/')",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    ],
)
def test_a_process_that_leaves_this_machine_is_ended(code: str) -> None:
    """Even where it would catch the error."""
    program = f"try:\n    {code}\nexcept Exception:\n    pass"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 97
    assert "tried to reach" in done.stderr


def test_a_process_may_stay_on_this_machine() -> None:
    """Loopback is what tests are made of."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('localhost', {port}))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0
