"""What a dialect's own names lead to: an earlier response, and what is carried on from it."""

import json

import pytest

from services.runs.log import KEEP_TURNS
from services.runs.memory import MemoryLog
from services.streaming import App, Question, follow_run
from services.streaming.dialect_handlers import bound_history
from services.streaming.http.body import BODY_LIMIT
from services.streaming.question import dump_question
from tests.services.runs.conformance import final

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("said", "most"), [("an answer", KEEP_TURNS), ("語" * 4000, 5)])
async def test_a_response_that_follows_many_carries_no_more_than_a_session(
    said: str, most: int
) -> None:
    """The newest turns, whole, in order: what is kept of the thousandth is no more than before."""
    log = MemoryLog()
    app = App(log=log)
    question = Question(query="0")
    for number in range(1, 40):
        run, _ = await log.start(
            owner=None, key=None, fingerprint="f", question=dump_question(question)
        )
        end = {"type": "final", "result": {"answer": f"{number} {said}"}}
        await log.append(run.id, [final(1)._replace(payload=json.dumps(end).encode())])
        question = await follow_run(Question(query=str(number)), run.id, app=app)
        newest = range(max(0, number - most), number)
        assert [turn[0] for turn in question.history] == [str(one) for one in newest]
    assert question.history[-1] == ("38", f"39 {said}")
    assert len(dump_question(question)) < 3 * BODY_LIMIT


def test_a_turn_that_has_no_room_ends_it() -> None:
    """What is older is not carried without what came after it."""
    turns = [("a", "b"), ("c", "x" * BODY_LIMIT), ("d", "e")]
    assert bound_history(turns) == (("d", "e"),)
    assert bound_history([]) == ()
