"""Thoughts are kept apart from the answer, however the text is cut; and their effort is chosen."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.provider import Prompt, UnbilledCall
from services.chat.providers import thoughts
from services.chat.providers.thoughts import ThinkingPolicy, ThinkingReports, ThinkingSplitter
from services.progress import Progress

PROMPT = Prompt("Why?", ())

TAGS = [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"), ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
        ("<|START_THINKING|>", "<|END_THINKING|>"), ("<seed:think>", "</seed:think>")]  # fmt: skip


def split(
    pieces: list[str], *, is_unopened: bool = False, is_whole: bool = True
) -> tuple[str, str]:
    """What was thought and what was said of the pieces, as a reader has it in the end."""
    splitter = ThinkingSplitter(is_unopened=is_unopened)
    thought, said = "", ""
    for piece in pieces:
        restarted = splitter.has_restarted
        more_thought, more_said = splitter.feed(piece)
        if splitter.has_restarted and not restarted:
            said = ""
        thought, said = thought + more_thought, said + more_said
    more_thought, more_said = splitter.finish(is_whole=is_whole)
    return thought + more_thought, said + more_said


def cut(text: str, places: list[int]) -> list[str]:
    """`text` in pieces, cut at these places."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


plain = st.text(st.characters(codec="utf-8", exclude_characters="<[◁"), max_size=20)
places = st.lists(st.integers(0, 1000), max_size=8)


@given(st.sampled_from(TAGS), plain, plain, places)
def test_a_thought_between_tags_is_no_answer(
    tags: tuple[str, str], thought: str, said: str, places: list[int]
) -> None:
    """Wherever it was cut; white space around it is dropped."""
    text = f"\n{tags[0]}{thought}{tags[1]}\n\n{said}"
    assert split(cut(text, places)) == (thought, said.lstrip())


@given(st.sampled_from([tag for tag in TAGS if tag[1].startswith("</")]), plain, plain, places)
def test_a_thought_without_its_opening_tag_is_taken_back(
    tags: tuple[str, str], thought: str, said: str, places: list[int]
) -> None:
    """The first time it was shown by then; a model that is known is waited for."""
    if not thought.strip() or "`" in thought or thought[-1] in "'\"“«":
        return
    text = f"{thought}{tags[1]}{said}"
    assert split(cut(text, places)) == (thought, said.lstrip())
    assert split(cut(text, places), is_unopened=True) == (thought, said.lstrip())


@given(st.text(max_size=40), places)
def test_text_without_tags_is_said_as_it_is(text: str, places: list[int]) -> None:
    """Every bracket of it; but white space alone is no answer."""
    if any(tag.lower() in text.lower() for pair in TAGS for tag in pair):
        return
    said = split(cut(text, places))
    assert said == ("", text if text.strip() else "")
    assert split(cut(text, places), is_unopened=True) == said


@pytest.mark.parametrize("opening", [tag[0] for tag in TAGS])
def test_a_thought_that_is_never_closed_is_one(opening: str) -> None:
    """No part of it is shown."""
    assert split([opening, "Hm, ", "so"]) == ("Hm, so", "")


def test_a_guess_is_settled_by_the_end() -> None:
    """A whole answer of a model that did not think this time is one; a cut one was a thought."""
    assert split(["Air."], is_unopened=True) == ("", "Air.")
    assert split(["Hm"], is_unopened=True, is_whole=False) == ("Hm", "")


def test_a_long_thought_that_is_held_back_is_read_in_time() -> None:
    """Each piece is searched once."""
    splitter = ThinkingSplitter(is_unopened=True)
    for _ in range(20_000):
        assert splitter.feed("hmmmm ") == ("", "")
    assert splitter.feed("</think>Air.") == ("hmmmm " * 20_000, "Air.")


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [("gpt-4.1", None, False), ("gpt-5.6-luna", None, True), ("o4-mini", None, True),
     ("deepseek-r1:8b", None, True), ("qwen3-4b-thinking-2507", None, True),
     ("llama3.2", None, False), ("gpt-4o-mini", None, False), ("gpt-5", "none", False),
     ("anything", "low", True)],
)  # fmt: skip
def test_whether_a_model_thinks(model: str, effort: str | None, expected: bool) -> None:
    """By the effort that was set, else by its name."""
    assert ThinkingPolicy(effort=effort).is_expected(model) is expected


def test_an_answer_that_goes_on_is_not_thought_about_anew() -> None:
    """It would be interrupted again."""
    policy = ThinkingPolicy(effort="high")
    interrupted = Prompt("Why?", (), unbilled_calls=(UnbilledCall("", ""),))
    going_on = Prompt("Why?", (), so_far="Air")
    assert policy.choose_effort("m", PROMPT) == "high"
    assert policy.choose_effort("m", interrupted) == policy.choose_effort("m", going_on) == "low"
    assert ThinkingPolicy().choose_effort("llama3.2", going_on) is None
    assert ThinkingPolicy(effort="minimal").choose_effort("m", going_on) == "minimal"


@pytest.mark.anyio
async def test_a_model_that_thinks_says_so_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where its thoughts are hidden; once it answers, for how long it was."""
    monkeypatch.setattr(thoughts, "SILENT_FOR", 0.01)
    monkeypatch.setattr(thoughts, "REPORT_EVERY", 0.01)
    seen: list[Progress] = []
    enough = asyncio.Event()

    def note(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 3:
            enough.set()

    reports = ThinkingReports(note, is_expected=True)
    await enough.wait()
    reports.end()
    count = len(seen)
    await asyncio.sleep(0.05)
    assert len(seen) == count
    assert [report.description.split()[0] for report in seen[:2]] == ["Thinking", "Thinking"]
    assert seen[-1].description == "Thought for 0 s"
    silent = ThinkingReports(seen.append, is_expected=False)
    silent.end()
    assert len(seen) == count
