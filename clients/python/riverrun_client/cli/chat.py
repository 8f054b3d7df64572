"""A conversation in the terminal: each line is a question, the server remembers the ones before."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

from riverrun_client.cli.arguments import Choice
from riverrun_client.cli.escape import escape_line
from riverrun_client.cli.history import history_path, read_history, remember
from riverrun_client.client import Client, Stream
from riverrun_client.events import Result

ID_WIDTH = 8


def chat(choice: Choice, client: Client, ask: Callable[[Stream], int], err: TextIO) -> int:
    """Ask line after line in one session. `ask` shows a stream. Returns the last exit status.

    Ctrl-D ends it; Ctrl-C stops an answer, and at the prompt ends it too.
    """
    path = history_path(os.environ)
    session = choice.session or ""
    if choice.resume:
        earlier = [asked for asked in read_history(path, choice.url) if asked.session]
        if not earlier:
            print("riverrun: there is no conversation to continue yet", file=err)
            return 2
        session = earlier[-1].session
        for asked in earlier:
            if asked.session == session:
                print(f"> {escape_line(asked.query)}", file=err)
    status = 0
    for query in _read_lines(choice.query, err):
        stream = client.stream(query, session_id=session, top_k=choice.top_k)
        status = ask(stream)
        if stream.result is not None:
            session = remember_result(choice.url, query, stream.result) or session
    return status


def _read_lines(first: str, err: TextIO) -> Iterator[str]:
    if first:
        yield first
    is_typed = sys.stdin.isatty()
    if is_typed:
        with suppress(ImportError):
            import readline  # noqa: F401 - arrow keys, and the lines before
        print("Ctrl-D ends the conversation.", file=err, flush=True)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            line = input("\n> ") if is_typed else next(sys.stdin, None)
            if line is None:
                return
            if line.strip():
                yield line.strip()


def remember_result(url: str, query: str, result: Result) -> str:
    """Put an answer into the history. Returns its session."""
    session = result.session_id or ""
    remember(history_path(os.environ), url, result.run_id or "", session, query)
    return session


def print_runs(choice: Choice, out: TextIO) -> int:
    """List what was asked from this machine, newest first."""
    asked = read_history(history_path(os.environ), choice.url)
    if not asked:
        print("No runs yet: what `riverrun` asks in a terminal is listed here.", file=out)
    for one in reversed(asked[-choice.count :]):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.at))
        print(f"{escape_line(one.run)}  {when}  {escape_line(one.query)[:60]}", file=out)
    return 0
