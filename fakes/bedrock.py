"""A fake Bedrock Runtime: ConverseStream over a real socket, in real event-stream frames.

    python -m fakes.bedrock --port 9001

answers every question from the passages of its prompt. Tests script it frame by frame instead.
A frame is: total length, headers length, CRC-32 of those eight bytes, headers, payload, CRC-32
of everything before; all big-endian.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from fakes.answers import answer_to, words
from fakes.command import run
from fakes.embeddings import answer_invoke_model
from fakes.steps import Call, Fake, Refusal, Reply, Step, Stream, run_server

CONTENT_TYPE = "application/vnd.amazon.eventstream"


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame; header values are strings (type 7)."""
    packed = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value))
        + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = lengths + struct.pack(">I", crc32(lengths)) + packed + payload
    return message + struct.pack(">I", crc32(message))


def event(name: str, value: Mapping[str, Any]) -> bytes:
    """An event frame."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(value).encode())


def exception(name: str, message: str = "arn:aws:secret") -> bytes:
    """An exception frame; real ones begin with a small letter."""
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode())


def error(code: str, message: str = "arn:aws:secret") -> bytes:
    """An error frame, for what the service's model has no name for."""
    return frame({":error-code": code, ":error-message": message, ":message-type": "error"}, b"")


def bad_crc(whole: bytes) -> bytes:
    """A frame whose last byte was turned over on its way."""
    return whole[:-1] + bytes([whole[-1] ^ 0xFF])


def long_head(length: int) -> bytes:
    """The head of a frame that says it has `length` bytes, with a right checksum."""
    lengths = struct.pack(">II", length, 0)
    return lengths + struct.pack(">I", crc32(lengths))


def too_long() -> bytes:
    """The head of a frame longer than any may be."""
    return long_head(64 << 20)


def bytewise(whole: bytes) -> list[Step]:
    """The same bytes, one chunk each."""
    return [bytes([byte]) for byte in whole]


START = event("messageStart", {"role": "assistant"})


def text(piece: str, block: int = 0) -> bytes:
    """A piece of the answer."""
    return event("contentBlockDelta", {"delta": {"text": piece}, "contentBlockIndex": block})


def thought_text(piece: str, block: int = 0) -> bytes:
    """A piece of what the model thinks."""
    delta = {"reasoningContent": {"text": piece}}
    return event("contentBlockDelta", {"delta": delta, "contentBlockIndex": block})


def cite(index: int, source: str = "", block: int = 0) -> bytes:
    """A citation of a search result, by its place in the question."""
    place = {"searchResultLocation": {"searchResultIndex": index, "start": 0, "end": 1}}
    delta = {"citation": {"title": "", "source": source, "location": place}}
    return event("contentBlockDelta", {"delta": delta, "contentBlockIndex": block})


def end_block(block: int = 0) -> bytes:
    """The end of a block."""
    return event("contentBlockStop", {"contentBlockIndex": block})


def stop(reason: str = "end_turn") -> bytes:
    """The end of the block and of the message."""
    return event("contentBlockStop", {"contentBlockIndex": 0}) + event(
        "messageStop", {"stopReason": reason}
    )


def usage(tokens_in: int = 10, tokens_out: int = 3, **more: int) -> bytes:
    """The metadata that follows a message."""
    counted = {
        "inputTokens": tokens_in,
        "outputTokens": tokens_out,
        "totalTokens": tokens_in + tokens_out,
        **more,
    }
    return event("metadata", {"usage": counted, "metrics": {"latencyMs": 12}})


def stream(*steps: Step) -> Stream:
    """A reply of these steps and nothing else."""
    return Stream(CONTENT_TYPE, steps, {"x-amzn-RequestId": "0-0-0"})


def whole(*pieces: str, reason: str = "end_turn") -> Stream:
    """A reply that says these pieces, ends for that reason and counts them."""
    said: Sequence[Step] = [text(piece) for piece in pieces]
    return stream(START, *said, stop(reason), usage(10, len(pieces)))


def refusal(name: str, status: int, message: str = "arn:aws:secret", **headers: str) -> Refusal:
    """An error before the stream, as the service sends it."""
    return Refusal(status, {"message": message}, {"x-amzn-ErrorType": name, **headers})


def model_of(call: Call) -> str:
    """The model that a call asks."""
    return unquote(call.path.split("/")[2])


def question_of(call: Call) -> str:
    """The text of the last message of a call."""
    return "".join(block.get("text", "") for block in call.body["messages"][-1]["content"])


def count_tokens(asked: Any) -> int:
    """Count as a tokenizer would, roughly: four letters of Latin script, or one other sign."""
    text = json.dumps(asked, ensure_ascii=False)
    return sum(map(str.isascii, text)) // 4 + sum(not sign.isascii() for sign in text)


def answering(call: Call) -> Reply:
    """Answer from the prompt's own passages, a word at a time, as the command does."""
    if call.path.endswith("/invoke"):
        return answer_invoke_model(model_of(call), call.body)
    if call.path.endswith("/count-tokens"):
        return Refusal(200, {"inputTokens": count_tokens(call.body["input"]["converse"])})
    if not call.path.endswith("/converse-stream"):
        return refusal("UnknownOperationException", 404)
    pieces = words(answer_to(question_of(call)))
    steps: list[Step] = []
    for piece in pieces:
        steps += [text(piece), 0.01]
    counted = usage(len(json.dumps(call.body)) // 4, len(pieces))
    return stream(START, *steps, stop(), counted)


@contextmanager
def bedrock(port: int = 0) -> Iterator[Fake]:
    """A fake for as long as the block lasts."""
    with run_server(answering, port) as fake:
        yield fake


if __name__ == "__main__":
    run("Bedrock Runtime", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME={url}", bedrock)
