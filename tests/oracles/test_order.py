"""Order is proved, not timed: who reads frame 1 releases frame 2, through every streaming front.

With the product's runtime in both of its temperaments. The Node client's turn is in
`test_node_runtime`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulator.support import Gate, RunningCloud, run_cloud
from tests.oracles.order import read_over_http, read_with_boto3
from tests.oracles.programs import FUNCTIONS, url_payload

FRONTS = {"url ours": "/", "rest": "/ours", "netlify": "/api/ours"}


@pytest.fixture(scope="module", params=[64, None], ids=["concurrent", "on demand"])
def cloud(request: pytest.FixtureRequest) -> Iterator[RunningCloud]:
    """Many invocations in one process, and one in each."""
    with run_cloud(FUNCTIONS / "template_ours.yaml", concurrency=request.param) as started:
        yield started


@pytest.mark.parametrize("front", FRONTS)
def test_http_fronts_pass_each_frame_before_the_next_exists(
    cloud: RunningCloud, gate: Gate, front: str
) -> None:
    """Function URL, REST API, Netlify."""
    read_over_http(cloud.url(front), FRONTS[front], gate)


@pytest.mark.parametrize("handler", ["ours", "generator"])
def test_an_sdk_reads_each_frame_before_the_next_exists(
    lambdas: Any, gate: Gate, handler: str
) -> None:
    """Real boto3 on InvokeWithResponseStream: behind a prelude, and as raw bytes."""
    url = url_payload(query=f"gate={gate.port}")
    payload = url if handler == "ours" else {"gate": gate.port}
    read_with_boto3(lambdas, handler, payload, gate)
