"""A reader comes to a run that exists: they follow it, or, where they may, make it go on.

The one place where reading and producing meet. Knows nothing of requests and responses.
"""

from services.runs import Run
from services.streaming.attendance import attended, started
from services.streaming.continuing import can_go_on, take_over
from services.streaming.following import read_run
from services.streaming.installation import Installation
from services.streaming.lifecycle import Observer
from services.streaming.producing import Producer, produce, produced
from services.streaming.production import heard
from services.streaming.question import Reader
from services.streaming.recording import Entries


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
