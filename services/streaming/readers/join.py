"""A reader comes to a run that exists: they follow it, or, where they may, make it go on.

The one place where reading and producing meet. Knows nothing of requests and responses.
"""

from ...runs import Run
from ..installation import Installation
from ..question import Reader
from ..run.log_writer import Entries
from ..run.resume import can_go_on, take_over
from ..run.stages import Observer
from ..run.start import Producer, produce, produced
from ..run.task import heard
from .session import attended, started
from .tail import read_run


async def joined(
    run: Run,
    after: int,
    reader: Reader,
    here: Installation,
    *,
    name: str | None,
    producer: Producer | None = None,
    observers: tuple[Observer, ...] = (),
    wakes: bool = False,
) -> tuple[Run, Entries]:
    """`run`, and its entries after `after` for a reader who was admitted; gives their place back.

    Who `wakes` a run makes it go on, here, if nobody produces it and `producer`, whose `name` it
    must know, can. Nobody else ever calls a provider.
    """
    able = here.durable and can_go_on(run, name)
    returns = reader.resume and able
    try:
        ours = await take_over(run, here, reader) if wakes and able else None
        if ours is None:
            entries = read_run(run, after, here, returns=returns)
        else:
            production = produce(
                ours.run,
                ours.question,
                produced(producer, ours.question, here),
                here,
                observers=observers,
                pausable=True,
                transcript=ours.transcript,
                after=ours.after,
            )
            entries = await started(heard(production, here, after, returns=returns))
    except BaseException:
        here.dismiss()
        raise
    return run, await started(attended(entries, here, run, reader, after, returns=returns))
