"""What is sent to start, read and stop a run."""

import hashlib

from riverrun_client.requests import Endpoint, Question


def test_what_is_posted_carries_the_hash_of_its_bytes() -> None:
    """For a front that signs for its callers and reads no body; what is read has no body."""
    endpoint = Endpoint.parse("http://host.example")
    for request in (endpoint.start(Question(query="Où est l'hôtel ?")), endpoint.stop("run")):
        assert request.body is not None
        wanted = hashlib.sha256(request.body).hexdigest()
        assert request.headers["x-amz-content-sha256"] == wanted
    assert "x-amz-content-sha256" not in endpoint.read("run", 0).headers
