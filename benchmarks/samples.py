"""Questions of many kinds over the shipped guide, whose answers one would show to a friend.

``python -m benchmarks.samples`` prints each question with its answer, to be read by a person;
`tests/benchmarks/test_samples.py` holds what each answer has to say, and what it must not.
"""

import asyncio
from contextlib import closing
from dataclasses import dataclass

from services.chat import Prompt
from services.chat.providers.extractive import write_answer
from services.context import Library, open_context
from services.settings import ROOT, Settings

SAMPLES = ROOT / "benchmarks" / "answers" / "samples.tsv"
TOP_K = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A question after earlier ones: all of `says` has to be said, one of each; none of `never`."""

    earlier: tuple[str, ...]
    question: str
    says: tuple[tuple[str, ...], ...]
    never: tuple[str, ...]

    def find_faults(self, answer: str) -> list[str]:
        """Return what an answer lacks, and what it should not have."""
        lacks = [" / ".join(one) for one in self.says if not any(part in answer for part in one)]
        return [f"lacks {one}" for one in lacks] + [f"has {x}" for x in self.never if x in answer]


def read_samples() -> list[Sample]:
    """Read the samples."""
    found = []
    for line in SAMPLES.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        asked, says, never = line.split("\t")
        *earlier, question = asked.split(" >> ")
        parts = tuple(tuple(one.split("/")) for one in says.split(" & "))
        found.append(Sample(tuple(earlier), question, parts, tuple(never.split("/"))))
    return found


async def ask(library: Library, sample: Sample) -> str:
    """Ask a sample as the page does, and return the whole answer."""
    previous = "\n".join(sample.earlier) or None
    found = await library.retrieve(sample.question, TOP_K, previous=previous)
    documents = tuple(await library.list_documents())
    return write_answer(Prompt(sample.question, found, documents=documents)).text


def ask_all() -> list[tuple[Sample, str]]:
    """Ask every sample over the shipped guide."""

    async def ask_each(library: Library) -> list[tuple[Sample, str]]:
        return [(sample, await ask(library, sample)) for sample in read_samples()]

    with closing(open_context(Settings())) as library:
        return asyncio.run(ask_each(library))


if __name__ == "__main__":
    for sample, answer in ask_all():
        faults = sample.find_faults(answer)
        print(f"## {' >> '.join((*sample.earlier, sample.question))}\n\n{answer}\n")
        if faults:
            print(f"**{'; '.join(faults)}**\n")
