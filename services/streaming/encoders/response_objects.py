"""The objects of OpenAI's Responses: the response itself, its text with annotations, its usage."""

import re
from collections.abc import Mapping
from typing import Any

from .frames import is_web_address
from .run_info import RunInfo

_CITATION = re.compile(r"\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_INCOMPLETE: Mapping[str, str] = {"length": "max_output_tokens", "budget": "max_output_tokens"}


def response_id(run_id: str) -> str:
    """Return the id by which OpenAI's clients know the run `run_id`."""
    return f"resp_{run_id}"


def describe_response(run_info: RunInfo, status: str, **known: Any) -> dict[str, Any]:
    """Return the response object, with every field that OpenAI's clients may look for."""
    return {
        "id": response_id(run_info.run_id),
        "object": "response",
        "created_at": int(run_info.created),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": dict(run_info.names),
        "model": run_info.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        **known,
    }


def describe_answer(run_info: RunInfo, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response object of an answer that is not streamed, or is over."""
    answer, reason = result["answer"], result["finishReason"]
    is_whole = reason not in ("length", "budget", "cancelled")
    annotations = annotate(answer, result.get("sources") or [])
    item = {
        "id": f"msg_{run_info.run_id}_0",
        "type": "message",
        "status": "completed" if is_whole else "incomplete",
        "role": "assistant",
        "content": [make_part(answer, annotations)],
    }
    known: dict[str, Any] = {"output": [item], "usage": describe_usage(result.get("usage"))}
    if is_whole:
        return describe_response(run_info, "completed", **known)
    known["incomplete_details"] = {"reason": _INCOMPLETE.get(reason, reason)}
    return describe_response(
        run_info, "cancelled" if reason == "cancelled" else "incomplete", **known
    )


def make_part(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def describe_progress(
    run_info: RunInfo, failure: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the response object of a run that is being answered, or whose `failure` ended it."""
    if failure is None:
        return describe_response(run_info, "in_progress")
    return describe_response(run_info, "failed", error=describe_failure(failure))


def annotate(text: str, sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the citations of `text` as annotations, in the order in which they stand there."""
    cited = (
        (int(number), found.span())
        for found in _CITATION.finditer(text)
        for number in found[1].split(",")
    )
    known = range(1, len(sources) + 1)
    return [_annotation(sources[number - 1], *span) for number, span in cited if number in known]


def _annotation(source: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    if is_web_address(source["uri"]):
        cited = {"type": "url_citation", "url": source["uri"], "title": source["title"]}
        return {**cited, "start_index": start, "end_index": end}
    cited = {"type": "file_citation", "file_id": source["id"], "filename": source["uri"]}
    return {**cited, "index": start}


def describe_usage(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Usage as Responses counts it; None where it is not known."""
    if usage is None:
        return None
    given, written = usage.get("inputTokens", 0), usage.get("outputTokens", 0)
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.get("reasoningTokens", 0)},
        "total_tokens": given + written,
    }


def describe_failure(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error of the contract in Responses' two words for one, and its sentence."""
    throttled = error["code"] in ("rate_limited", "provider_throttled", "budget_exceeded")
    kind = "rate_limit_exceeded" if throttled else "server_error"
    message = " ".join(part for part in (error["error"], error.get("hint")) if part)
    return {"code": kind, "message": f"{message} ({error['code']})"}
