"""The cloud's lifetime: everything is opened, followed while files change, and ended.

Leaving `open_cloud` ends every process it started.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from emulator.cloudformation import EmulatorSetupError
from emulator.deployment import Cloud, Plan, deploy
from emulator.embedded_metrics import EmbeddedMetrics
from emulator.faults import Faults
from emulator.sandbox import Log
from emulator.site import read_site
from emulator.template import read_template
from emulator.watch import changes


@asynccontextmanager
async def open_cloud(plan: Plan, print_line: Log) -> AsyncIterator[Cloud]:
    """Start everything `plan` asks for.

    Raises `EmulatorSetupError` with one line for a person: a template that cannot be read, a
    port that is taken.
    """
    template = read_template(plan.template, plan.parameters)
    site = read_site(plan.template.parent / "netlify.toml")
    metrics = EmbeddedMetrics()

    def log(name: str, line: str) -> None:
        metrics.read(line)
        print_line(name, line)

    cloud = Cloud(
        plan=plan,
        template=template,
        site=site,
        faults=Faults(plan.faults),
        log=log,
        metrics=metrics,
        notes=[*template.notes, *site.notes],
    )
    try:
        await deploy(cloud, template)
        changed_files = _watch_files(cloud)
        if plan.watch:
            await anext(changed_files)  # what is saved as soon as the cloud is there is noticed
        async with asyncio.TaskGroup() as tasks:
            processes = cloud.processes.values()
            starts = [_start_in_turn(cloud)] if plan.in_turn else [one.start() for one in processes]
            running = [tasks.create_task(start) for start in starts]
            if plan.watch:
                running.append(tasks.create_task(_follow_changes(cloud, changed_files)))
            try:
                yield cloud
            finally:
                for task in running:
                    task.cancel()
                # Processes first: what a front still carries ends when its function does.
                ending = (*cloud.processes.values(), *cloud.removed)
                await asyncio.gather(*(function.close() for function in ending))
    finally:
        await asyncio.gather(*(server.close() for server in cloud.servers.values()))


async def _start_in_turn(cloud: Cloud) -> None:
    """Start the processes one by one, in the order of the template.

    At once they would share the processor, and the first one answers what is asked first. One that
    is asked before its turn starts then.
    """
    for name, function in list(cloud.processes.items()):
        if cloud.processes.get(name) is function:
            await function.start()


def _watch_files(cloud: Cloud) -> AsyncGenerator[frozenset[Path], None]:
    folder = cloud.plan.template.parent.resolve()

    def roots() -> tuple[Path, ...]:
        return (folder, *(f.spec.root.resolve() for f in cloud.processes.values()))

    return changes(roots)


async def _follow_changes(cloud: Cloud, changed_files: AsyncIterator[frozenset[Path]]) -> None:
    template = cloud.plan.template
    folder = template.parent.resolve()
    async for changed in changed_files:
        names = {path.name for path in changed if path.parent == folder}
        if "netlify.toml" in names:
            _read_site(cloud, folder / "netlify.toml")
        code = sorted(p.name for p in changed if p.suffix != ".toml" and p.name != template.name)
        is_new = await _update(cloud) if template.name in names else frozenset()
        if code:
            cloud.log("emulator", f"{', '.join(code[:3])} changed: restarting the functions.")
            old = (f for name, f in cloud.processes.items() if name not in is_new)
            await asyncio.gather(*(function.reload() for function in old))


def _read_site(cloud: Cloud, path: Path) -> None:
    try:
        cloud.site = read_site(path)
        cloud.log("emulator", "netlify.toml was read again.")
    except EmulatorSetupError as error:
        cloud.log("emulator", str(error))


async def _update(cloud: Cloud) -> frozenset[str]:
    """Take what the changed template says; return the functions that have a new process for it.

    A template that cannot be used is told, and everything goes on as it was.
    """
    path, known = cloud.plan.template, frozenset(cloud.notes)
    try:
        template = await asyncio.to_thread(read_template, path, cloud.plan.parameters)
        update = await deploy(cloud, template)
    except EmulatorSetupError as error:
        cloud.log("emulator", f"{error} The cloud goes on with {path.name} as it was.")
        return frozenset()
    cloud.log("emulator", f"{path.name} was read again: {update}.")
    cloud.notes = [*template.notes, *cloud.site.notes]
    for note in cloud.notes:
        if note not in known:
            cloud.log("emulator", f"Note: {note}")
    for function in cloud.removed:
        function.retire()
    processes = cloud.processes
    await asyncio.gather(
        *(processes[name].start() for name in update.added),
        *(processes[name].reload() for name in update.changed),
    )
    for name in update.added:
        if name in cloud.functions:
            cloud.log("emulator", f"{name} is on {'   '.join(cloud.list_addresses(name))}")
    return frozenset((*update.added, *update.changed))
