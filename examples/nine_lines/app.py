from collections.abc import AsyncGenerator

from services.streaming import Question, answer_app


async def echo(question: Question) -> AsyncGenerator[str, None]:
    for word in question.query.split():
        yield f"{word} "


app = answer_app("/echo", echo)
