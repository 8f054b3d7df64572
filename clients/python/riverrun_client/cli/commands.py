"""The verbs: ask, chat, watch, stop, runs, bench; what Ctrl-C means, and the exit status."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from riverrun_client.cli.arguments import Choice
from riverrun_client.cli.views import (
    JsonView,
    NdjsonView,
    PlainView,
    View,
    describe_error,
    describe_retry,
    open_output,
)
from riverrun_client.client import Client, Stream
from riverrun_client.errors import (
    GaveUpError,
    ProtocolError,
    RiverrunError,
    RunFailedError,
    SetupError,
)

ANSWERED, FAILED, USAGE, GAVE_UP, REFUSED, FOREIGN = 0, 1, 2, 3, 4, 5
INTERRUPTED, UNREAD = 130, 141  # 128 and the number of SIGINT, of SIGPIPE


def run(choice: Choice) -> int:
    """Do what was chosen. Returns the exit status."""
    out, err = open_output()
    try:
        return _run(choice, out, err)
    except BrokenPipeError:
        # `| head` has read enough. What is still in the buffer goes nowhere, without a traceback
        # when the interpreter flushes it. The run goes on: losing a reader is not stopping.
        _discard_output()
        return UNREAD
    except OSError as error:
        with suppress(OSError):
            print(f"riverrun: the output cannot be written: {error.strerror}", file=err)
        _discard_output()
        return UNREAD
    except RiverrunError as error:
        for line in describe_error(error):
            print(line, file=err)
        return exit_status(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ValueError as error:
        print(f"riverrun: {error}", file=err)
        return USAGE


def _discard_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _run(choice: Choice, out: TextIO, err: TextIO) -> int:
    if choice.verb == "bench":
        from riverrun_client.cli.bench import bench

        return bench(choice, out, err)
    if choice.verb == "runs" and not choice.run:
        from riverrun_client.cli.chat import print_runs

        return print_runs(choice, out)
    view = _view(choice, out, err)
    try:
        opened = Client(choice.url, choice.key)
    except SetupError as error:
        view.fail(error)
        return exit_status(error)
    with opened as client:
        return _talk(choice, client, view, out, err)


def _talk(choice: Choice, client: Client, view: View, out: TextIO, err: TextIO) -> int:
    if choice.verb == "stop":
        return _stop(client, choice.run, view)
    if choice.verb == "runs":
        return _delete(client, choice.run)
    if choice.verb == "watch":
        stream = client.join(
            choice.run, choice.after, on_retry=lambda news: view.note(describe_retry(news))
        )
        return _follow(stream, view)
    if choice.verb == "chat":
        from riverrun_client.cli.chat import chat

        return chat(choice, client, lambda asked: _ask(asked, _view(choice, out, err)), err)
    stream = client.stream(
        choice.query,
        session_id=choice.session,
        top_k=choice.top_k,
        on_retry=lambda news: view.note(describe_retry(news)),
    )
    status = _ask(stream, view)
    if stream.result is not None and choice.form == "text" and out.isatty():
        from riverrun_client.cli.chat import remember_result

        remember_result(choice.url, choice.query, stream.result)
    return status


def _ask(stream: Stream, view: View) -> int:
    try:
        return _follow(stream, view)
    except KeyboardInterrupt:
        return _stop_on_interrupt(stream, view)


def _view(choice: Choice, out: TextIO, err: TextIO) -> View:
    if choice.form == "json":
        return JsonView(out)
    if choice.form == "ndjson":
        return NdjsonView(out)
    if out.isatty() and not choice.plain:
        try:
            from rich.console import Console

            from riverrun_client.cli.terminal import TerminalView
        except ImportError:
            return PlainView(out, err, quiet=choice.quiet)
        return TerminalView(
            Console(file=out, highlight=False), Console(file=err), quiet=choice.quiet
        )
    return PlainView(out, err, quiet=choice.quiet)


def _follow(stream: Stream, view: View) -> int:
    try:
        with view:
            for event in stream:
                view.show(event)
    except RiverrunError as error:
        view.fail(error)
        return exit_status(error)
    assert stream.result is not None
    return FAILED if stream.result.finish_reason == "cancelled" else ANSWERED


def _stop_on_interrupt(stream: Stream, view: View) -> int:
    """Stop the run on the server, and show its last words. A second Ctrl-C does not wait."""
    view.note("Stopping. Ctrl-C again leaves the run to itself.")
    try:
        stream.stop()
        _follow(stream, view)
    except RiverrunError as error:
        view.fail(error)
        view.note(f"The run may go on: stop {stream.run_id or 'it'} later.")
    except KeyboardInterrupt:
        pass
    return INTERRUPTED


def _delete(client: Client, run_id: str) -> int:
    from riverrun_client.cli.history import forget, history_path

    client.delete(run_id)
    forget(history_path(os.environ), run_id)
    return ANSWERED


def _stop(client: Client, run_id: str, view: View) -> int:
    try:
        client.stop(run_id)
    except RiverrunError as error:
        view.fail(error)
        return exit_status(error)
    view.note("Stopped.")
    return ANSWERED


def exit_status(error: RiverrunError) -> int:
    """The exit status that says which kind of failure it was."""
    if isinstance(error, RunFailedError):
        return FAILED
    if isinstance(error, GaveUpError):
        return GAVE_UP
    if isinstance(error, SetupError):
        return USAGE
    return FOREIGN if isinstance(error, ProtocolError) else REFUSED
