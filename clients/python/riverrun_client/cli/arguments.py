"""Read the command's arguments and environment into one object.

Imports nothing that takes time: `--help` is instant.
"""

import argparse
import codecs
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, cast

from riverrun_client.requests import DEFAULT_URL, Endpoint, read_cursor

Verb = Literal["ask", "chat", "watch", "stop", "runs", "bench"]
Form = Literal["text", "json", "ndjson"]

BENCH_QUESTION = "What are the best attractions in Paris?"

_USAGE = """\
riverrun [options] "question"
       riverrun chat [--continue] ["question"]
       riverrun watch RUN [--after N]
       riverrun stop RUN
       riverrun runs [-n N] [--delete RUN]
       riverrun bench [-n N] [-c N] ["question"]"""

_EPILOG = """\
"-" as the question, or none and something piped in, reads it from standard input.
Ctrl-C stops the run on the server; leaving `watch` does not.

exit status: 0 answered, 1 the run failed or was stopped elsewhere, 2 wrong usage or settings,
3 not reached or given up, 4 refused by the server, 5 not a Riverrun server,
130 Ctrl-C, 141 the output was closed"""


class UsageError(Exception):
    """The arguments make no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to do. `run` is for watch, stop and runs --delete, `after` for watch.

    `count` and `at_once` are for bench. `resume` is for chat: go on with the last conversation.
    """

    verb: Verb
    url: str = DEFAULT_URL
    key: str | None = None
    form: Form = "text"
    plain: bool = False
    quiet: bool = False
    query: str = ""
    session: str | None = None
    top_k: int | None = None
    run: str = ""
    after: int = 0
    resume: bool = False
    count: int = 20
    at_once: int = 4


def parse_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> Choice:
    """Read the arguments. Raises `UsageError`, and `SystemExit` after `--help`."""
    # Behind a "--" is a question, whatever it looks like; argparse lets options stand there.
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    told = _parser(environ).parse_intermixed_args(arguments[:end])
    verb, words = _verb(told.words)
    words = [*words, *arguments[end + 1 :]]
    try:
        Endpoint.parse(told.url)
    except ValueError as error:
        raise UsageError(str(error)) from None
    choice = Choice(
        verb=verb,
        url=told.url,
        key=told.key or None,
        form="ndjson" if told.ndjson else "json" if told.json else "text",
        plain=told.plain or bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb",
        quiet=told.quiet,
        session=told.session,
        top_k=told.top_k,
        resume=told.resume,
        count=_at_least_one("-n", told.n),
        at_once=_at_least_one("-c", told.c),
    )
    if told.after is not None and (verb != "watch" or not 0 <= told.after < 10**9):
        raise UsageError("--after is the number of an event, and for watch.")
    if told.delete is not None:
        if verb != "runs":
            raise UsageError("--delete is for runs.")
        return replace(choice, run=_run("runs --delete", [told.delete])[0])
    if told.resume and verb != "chat":
        raise UsageError("--continue is for chat.")
    if verb in ("chat", "runs"):
        return replace(choice, query=" ".join(words))
    if verb in ("watch", "stop"):
        run, after = _run(verb, words)
        return replace(choice, run=run, after=after if told.after is None else told.after)
    return replace(choice, query=_query(words) if verb == "ask" or words else BENCH_QUESTION)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="riverrun",
        usage=_USAGE,
        description="Ask a Riverrun server, and read the answer as it is written.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="question", help="what to ask, or one of the verbs above")
    url = environ.get("RIVERRUN_URL") or DEFAULT_URL
    add("--url", default=url, help=f"the server (RIVERRUN_URL, else {DEFAULT_URL})")
    key = environ.get("RIVERRUN_API_KEY")
    add("--key", default=key, help="sent as Authorization: Bearer (RIVERRUN_API_KEY)")
    add("--json", action="store_true", help="print the result, or the error, as JSON")
    add("--ndjson", action="store_true", help="print every event as a line of JSON, as it comes")
    add("--plain", action="store_true", help="no colour and no progress bar (also: NO_COLOR)")
    add("-q", "--quiet", action="store_true", help="the answer alone: no steps, no sources")
    add("--session", metavar="ID", help="continue a session; '' begins one")
    add("--top-k", type=int, metavar="N", help="how many passages are used, 1 to 20")
    add("--after", type=int, metavar="N", help="watch: from behind event N")
    add("--delete", metavar="RUN", help="runs: delete this one, on the server and in the list")
    add("--continue", dest="resume", action="store_true", help="chat: the last conversation")
    add(
        "-n", type=int, default=20, metavar="N", help="bench: questions in all; runs: how many (20)"
    )
    add("-c", type=int, default=4, metavar="N", help="bench: questions at once (4)")
    return parser


def _verb(words: list[str]) -> tuple[Verb, list[str]]:
    match words:
        case ["watch" | "stop" | "bench" | "chat" as verb, *rest]:
            return cast(Verb, verb), rest
        case ["runs"]:
            return "runs", []
        case ["ask", first, *rest]:
            return "ask", [first, *rest]
    return "ask", words


def _run(verb: str, words: list[str]) -> tuple[str, int]:
    if len(words) != 1 or not words[0] or " " in words[0]:
        raise UsageError(f"{verb} needs the id of one run; put a question in quotes.")
    try:
        return read_cursor(words[0])
    except ValueError:
        return words[0], 0  # what is no cursor is a run


def _query(words: list[str]) -> str:
    if words and words != ["-"]:
        query = " ".join(words)
    elif words or not sys.stdin.isatty():
        query = _decode(sys.stdin.buffer.read())
    else:
        query = ""
    if not query.strip():
        raise UsageError('There is no question. Try: riverrun "What is new?"')
    return query


def _decode(piped: bytes) -> str:
    """The text of a pipe: UTF-8, or what its byte order mark says, without the mark."""
    wide = piped.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return piped.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise UsageError(f"{name} is a whole number from 1.")
    return value
