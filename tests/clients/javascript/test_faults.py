"""The client against the product itself, through the emulator's Netlify front, while it breaks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.faults import Fault
from services.settings import ROOT
from tests.clients.javascript.installed import needs_packages, run
from tests.emulator.support import RunningCloud, run_cloud

pytestmark = [pytest.mark.node, needs_packages]

WORDS = [f"word {n} " for n in range(1, 13)]
SCRIPT: list[dict[str, Any]] = [
    {"when": "hang", "steps": [{"text": "One "}, {"hang": True}]},
    {"when": "fail", "steps": [{"text": "Half an "}, {"error": "ThrottlingException"}]},
    {"when": "slowly", "steps": [part for n in WORDS for part in ({"text": n}, {"waitMs": 150})]},
    {"when": "*", "steps": [{"text": word} for word in WORDS]},
]


@dataclass
class Product:
    """The real template under the emulator, with a scripted model."""

    cloud: RunningCloud

    def ask(self, query: str, **options: Any) -> dict[str, Any]:
        """What the client saw of an answer."""
        url = f"{self.cloud.url('netlify')}/api/chat"
        seen: dict[str, Any] = json.loads(run("node", "ask.mjs", url, query, json.dumps(options)))
        return seen

    def break_with(self, **fault: Any) -> None:
        """A fault for the next requests through the Netlify front."""
        self.cloud.break_with(Fault(**{"front": "netlify", "path": "/api/chat*", **fault}))


@contextmanager
def start_two_functions(home: Path, **environ: str) -> Iterator[RunningCloud]:
    """The product, both of whose functions see the same log."""
    (home / "script.json").write_text(json.dumps(SCRIPT))
    environ |= {
        "RIVERRUN_CHAT": "scripted",
        "RIVERRUN_SCRIPT": str(home / "script.json"),
        "RIVERRUN_LOG": f"sqlite:///{home / 'runs.db'}",
        "RIVERRUN_DATA_DIR": str(home),
    }
    with run_cloud(ROOT / "template.yaml", concurrency=32, environ=environ) as started:
        yield started


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """One for all of these."""
    with start_two_functions(tmp_path_factory.mktemp("javascript")) as started:
        yield started


@pytest.fixture
def product(cloud: RunningCloud) -> Iterator[Product]:
    """Without the faults of the test before."""
    yield Product(cloud)
    cloud.call(cloud.cloud.faults.clear)


def whole(seen: dict[str, Any]) -> None:
    """The answer came once, whole and in order, of one run, and ended once."""
    assert seen["error"] is None
    kinds = [event["type"] for event in seen["events"]]
    assert kinds.count("final") == 1
    assert kinds[-1] == "final"
    tokens = [event["text"] for event in seen["events"] if event["type"] == "token"]
    assert "".join(tokens) == seen["events"][-1]["result"]["answer"] == "".join(WORDS)
    places = [cursor.rpartition("-") for cursor in seen["ids"]]
    assert len({place for place, _, _ in places}) == 1
    assert [int(seq) for _, _, seq in places] == list(range(1, len(places) + 1))


@pytest.mark.parametrize("transport", ["fetch", "eventsource"])
def test_a_question_is_answered(product: Product, transport: str) -> None:
    """CR02: nothing breaks, and one request is all there is."""
    seen = product.ask("Paris?", transport=transport)
    whole(seen)
    assert (seen["waits"], seen["requests"]) == (0, 1 if transport == "fetch" else 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "at": 0},
        {"kind": "cut", "at": 300},
        {"kind": "cut", "at": 2500},
        {"kind": "reset", "at": 1000},
        {"kind": "cut", "at": 400, "times": 3},
        {"kind": "split", "size": 1},
        {"kind": "coalesce", "size": 1 << 20},
        {"kind": "refuse", "status": 503, "headers": {"Retry-After": "1"}},
        {"kind": "refuse", "status": 429, "headers": {"Retry-After": "1"}, "times": 2},
        {"kind": "refuse", "status": 502},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()).replace(" ", ""),
)
def test_an_answer_survives_the_line(product: Product, fault: dict[str, Any]) -> None:
    """CR01, CR03: cut, reset, split to single bytes, held back to the end, refused."""
    product.break_with(**fault)
    whole(product.ask("Paris?"))


def test_a_line_that_falls_silent_is_left(product: Product) -> None:
    """CR07: after the silence the run is read on from the last event."""
    product.break_with(kind="stall", at=600, seconds=20)
    seen = product.ask("Paris?", silence=700)
    whole(seen)
    assert seen["waits"] >= 1


def test_a_proxy_that_holds_everything_back_is_outlasted(product: Product) -> None:
    """CR07: nothing comes for longer than silence is borne; when the run is over, all does."""
    product.break_with(kind="coalesce", size=1 << 20, times=None)
    seen = product.ask("slowly", silence=700, retryPolicy={"maxRetries": 100, "maxUnanswered": 100})
    whole(seen)
    assert seen["waits"] >= 1


def test_a_server_that_closes_for_ever_is_given_up(product: Product) -> None:
    """CR04: typed, and after few requests."""
    product.break_with(kind="cut", at=0, times=None)
    seen = product.ask("Paris?")
    assert seen["error"]["code"] in ("interrupted", "unreachable")
    assert seen["requests"] <= 12


def test_a_stop_is_the_servers(product: Product) -> None:
    """The model that would hang for ever is stopped; what it said is kept."""
    seen = product.ask("hang", stopAt=4)
    assert seen["stopped"] is True
    end = seen["error"] or seen["events"][-1]["result"]
    assert end.get("code") == "cancelled" or end["finishReason"] == "cancelled"


def test_an_error_of_the_model_is_typed(product: Product) -> None:
    """With what was said before it."""
    error = product.ask("fail")["error"]
    assert error["name"] == "RiverrunError"
    assert error["code"].startswith("provider_")
    assert error["partial"]["answer"] == "Half an "


def test_a_server_that_pauses_is_gone_on_with(tmp_path: Path) -> None:
    """What stands in front cuts after two seconds; the answer takes longer, and is one answer."""
    with start_two_functions(tmp_path, RIVERRUN_RESPONSE_SECONDS="2") as started:
        seen = Product(started).ask("slowly")
    whole(seen)
    assert seen["waits"] >= 1


@pytest.mark.soak
def test_a_killed_function_is_replaced(product: Product) -> None:
    """CR01: the process that writes is killed; when its lease is over another one goes on."""
    product.break_with(kind="kill", at=2500)
    seen = product.ask("slowly", real=True)
    whole(seen)
    assert seen["waits"] >= 1
