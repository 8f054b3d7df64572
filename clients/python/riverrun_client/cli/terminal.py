"""A run in a terminal: steps ticked off, the answer as it is written, a bar below it.

Lines that are complete are printed and scroll away like any output; only the unfinished last
line and the bar are drawn again. So an answer of any length can be read back and copied.
"""

from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from riverrun_client.cli.escape import escape_line, escape_text
from riverrun_client.cli.markdown import Open, render_row
from riverrun_client.cli.views import describe_error, describe_unusual_end
from riverrun_client.errors import RiverrunError
from riverrun_client.events import Event, Final, Notice, Reset, Result, Status, Token


class TerminalView:
    """A view for people. `quiet` leaves out the sources and what it cost."""

    def __init__(self, out: Console, err: Console, *, quiet: bool = False) -> None:
        self._out = out
        self._err = err
        self._quiet = quiet
        self._line = ""
        self._open = Open()
        self._begun = False
        self._done: set[int] = set()
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=out,
        )
        self._task = self._bar.add_task("Asking", total=1.0)
        self._live = Live(
            console=out,
            get_renderable=self._render_footer,
            transient=True,
            refresh_per_second=12,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live.is_started:
            rest, self._line = self._line, ""
            self._live.stop()
            if rest:
                self._answer(rest)

    def show(self, event: Event) -> None:
        """Show it."""
        match event:
            case Status():
                self._status(event)
            case Token():
                self._token(event.text)
            case Reset():
                self._flush()
                self._begun = False
                self.note(f"The answer begins again: {event.reason}")
            case Notice():
                self.note(event.message)
            case Final():
                self._final(event.result)

    def note(self, text: str) -> None:
        """A line in yellow."""
        self._out.print(Text(f"! {escape_line(text)}", style="yellow"))

    def fail(self, error: RiverrunError) -> None:
        """Lines in red, on standard error."""
        self.__exit__()
        for line in describe_error(error):
            self._err.print(Text(line, style="red"))

    def _render_footer(self) -> RenderableType:
        """What is drawn again and again: the unfinished line, and the bar."""
        return (
            Group(self._render(self._line, ends=True)[0] or "", self._bar)
            if self._line
            else Group(self._bar)
        )

    def _status(self, status: Status) -> None:
        said = escape_line(status.description)
        # Without a total the bar only moves to and fro: it claims only what the server said.
        known = status.progress is not None
        progress = min(max(status.progress or 0.0, 0.0), 1.0)
        self._bar.update(
            self._task, description=said, completed=progress, total=1.0 if known else None
        )
        failed = status.status == "failed"
        if self._begun or status.status not in ("completed", "failed"):
            return
        if status.step not in self._done:
            self._done.add(status.step)
            took = "" if status.elapsed_ms is None else f"  {status.elapsed_ms} ms"
            mark, style = ("✗", "red") if failed else ("✓", "green")
            self._out.print(Text.assemble((mark, style), f" {said}", (took, "dim")))

    def _token(self, text: str) -> None:
        if not self._begun and text:
            self._begun = True
            self._out.print()
        *complete, self._line = (self._line + escape_text(text)).split("\n")
        for line in complete:
            self._answer(line)
        # What is over the edge of the window stands: only the last row can still change. A space
        # at the edge is not shown, and still divides the words on its two sides.
        rows = [row.plain.rstrip() for row in Text(self._line).wrap(self._out, self._out.width)]
        if len(rows) > 1:
            for row in rows[:-1]:
                self._answer(row, ends=False)
            self._line = rows[-1] + self._line[len(self._line.rstrip()) :]

    def _answer(self, row: str, *, ends: bool = True) -> None:
        text, self._open = self._render(row, ends=ends)
        if text is not None:
            self._out.print(text)

    def _render(self, row: str, *, ends: bool) -> tuple[Text | None, Open]:
        return render_row(row, self._open, ends=ends)

    def _flush(self) -> None:
        rest, self._line = self._line, ""
        if rest:
            self._answer(rest)

    def _final(self, result: Result) -> None:
        if not self._begun:
            self._token(result.answer)
        self._flush()
        self.__exit__()
        if self._quiet:
            return
        if result.sources:
            self._out.print()
        for number, source in enumerate(result.sources, start=1):
            title, where = escape_line(source.title), escape_line(source.uri)
            self._out.print(Text.assemble((f"[{number}] ", "cyan"), title, (f"  {where}", "dim")))
        self._out.print(Text("\n" + _format_summary(result), style="dim"))
        if (ending := describe_unusual_end(result)) is not None:
            self.note(ending)


def _format_summary(result: Result) -> str:
    parts = [f"{result.execution_time_ms / 1000:.1f} s"]
    if result.model:
        parts.insert(0, escape_line(result.model))
    if result.usage is not None:
        parts.append(f"{result.usage.input_tokens} tokens in, {result.usage.output_tokens} out")
        if result.usage.cost_usd:
            parts.append(f"${result.usage.cost_usd:.4f}")
    if result.session_id:
        parts.append(f"session {escape_line(result.session_id)}")
    if result.run_id:
        parts.append(f"run {escape_line(result.run_id)}")
    return " · ".join(parts)
