"""Turn what a model streams into the pieces of an answer: for every provider that asks a model.

Keeps thoughts apart, joins a continuation to what was said before, keeps the answer's own limit
where the model was given more to think, and reports that it is thinking. Knows no service.
"""

from ...progress import Report
from ..continuation import Continuation
from ..prompt import measure_tokens
from ..provider import Piece, Prompt, Restart, Text, ThoughtText
from .chat_completions import SurrogateJoiner
from .thoughts import ThinkingReports, ThinkingSplitter

# An answer of so many times its limit, by our estimate of its tokens, is cut here.
RUNAWAY = 4


class AnswerReader:
    """`read` what comes, then `finish`; in the end `close`.

    `by_instruction` says that a continuation was asked for in words. `max_tokens` is the limit of
    the answer, where the request had to allow more than that; None leaves it to the service, as
    long as that keeps to it.
    """

    def __init__(
        self,
        prompt: Prompt,
        report: Report,
        *,
        by_instruction: bool,
        is_thinker: bool = False,
        is_unopened: bool = False,
        max_tokens: int | None = None,
    ) -> None:
        self.has_text = False
        self.has_thoughts = False
        self.is_cut = False
        """The answer has reached its own limit: nothing more is to be read."""
        self._so_far = prompt.so_far
        self._by_instruction = by_instruction
        self._continuation = Continuation(prompt.so_far, by_instruction=by_instruction)
        self._splitter = ThinkingSplitter(is_unopened=is_unopened)
        self._joiner = SurrogateJoiner()
        self._reports = ThinkingReports(report, is_expected=is_thinker and not prompt.so_far)
        # A service that takes no notice of its limit would go on as long as it likes.
        self._max_tokens = RUNAWAY * prompt.max_tokens if max_tokens is None else max_tokens
        self._tokens = 0.0

    @property
    def is_thinking(self) -> bool:
        """Whether thoughts have come and no word of the answer."""
        return self.has_thoughts and not self.has_text

    @property
    def is_unopened(self) -> bool:
        """Whether a closing tag came without its opening one."""
        return self._splitter.has_restarted

    def read(self, text: str, thought: str = "") -> list[Piece]:
        """Return the pieces of what the model streamed."""
        pieces: list[Piece] = []
        if thought:
            self._think(thought, pieces)
        if text:
            was_restarted = self._splitter.has_restarted
            thought, said = self._splitter.feed(self._joiner.feed(text))
            if self._splitter.has_restarted and not was_restarted:
                self._restart(pieces)
            if thought:
                self._think(thought, pieces)
            if said:
                self._say(said, pieces)
        return pieces

    def finish(self, *, is_whole: bool) -> list[Piece]:
        """Return the pieces of what was held back, now that nothing follows.

        `is_whole` says that the model ended by itself, and not at a limit.
        """
        pieces: list[Piece] = []
        if rest := self._joiner.finish():
            pieces += self.read(rest)
        thought, said = self._splitter.finish(is_whole=is_whole)
        if thought:
            self._think(thought, pieces)
        if said:
            self._say(said, pieces)
        if text := self._continuation.finish():
            self.has_text = True
            pieces.append(Text(text))
        self._reports.end()
        return pieces

    def close(self) -> None:
        """Report no more."""
        self._reports.close()

    def _think(self, thought: str, pieces: list[Piece]) -> None:
        if not self.has_text and thought.strip():
            self._reports.begin()
        self.has_thoughts = True
        pieces.append(ThoughtText(thought))

    def _say(self, said: str, pieces: list[Piece]) -> None:
        if not (text := self._continuation.feed(said)):
            return
        if not self.has_text and not text.isspace():
            self.has_text = True
            self._reports.end()
        pieces.append(Text(text))
        self._tokens += measure_tokens(text)
        self.is_cut = self._tokens > self._max_tokens

    def _restart(self, pieces: list[Piece]) -> None:
        pieces.append(Restart("The model was still thinking."))
        if self._so_far:
            pieces.append(Text(self._so_far))
        self._continuation = Continuation(self._so_far, by_instruction=self._by_instruction)
        self.has_text = False
        self._tokens = 0.0
