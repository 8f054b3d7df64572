"""A reader comes to a run that exists: they follow it, or, where they may, make it go on.

The one place where reading and producing meet. Knows nothing of requests and responses.
"""

from ...runs import Run
from ..app import App
from ..question import Reader
from ..run.log_writer import Entries
from ..run.resume import can_resume, take_over
from ..run.stages import Observer
from ..run.start import Producer, open_producer, start_run_task
from ..run.task import read_live
from .session import prime, serve_reader
from .tail import read_run


async def join_run(
    run: Run,
    after: int,
    reader: Reader,
    app: App,
    *,
    name: str | None,
    producer: Producer | None = None,
    observers: tuple[Observer, ...] = (),
    may_resume: bool = False,
) -> tuple[Run, Entries]:
    """`run`, and its entries after `after` for a reader who was admitted; gives their place back.

    Who `may_resume` a run makes it go on, here, if nobody produces it and `producer`, whose `name`
    it must know, can. Nobody else ever calls a provider.
    """
    able = app.is_durable and can_resume(run, name)
    will_resume = reader.resume and able
    try:
        ours = await take_over(run, app, reader) if may_resume and able else None
        if ours is None:
            entries = read_run(run, after, app, will_resume=will_resume)
        else:
            run_task = start_run_task(
                ours.run,
                ours.question,
                open_producer(producer, ours.question, app),
                app,
                observers=observers,
                pausable=True,
                transcript=ours.transcript,
                after=ours.after,
            )
            entries = await prime(read_live(run_task, app, after, will_resume=will_resume))
    except BaseException:
        app.release()
        raise
    return run, await prime(serve_reader(entries, app, run, reader, after, will_resume=will_resume))
