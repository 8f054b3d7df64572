"""What the stock runtime's bootstrap did, then the loop.

Exit statuses are the stock runtime's: 0 after a shutdown, 1 for a failed start or a lost
Runtime API, 64 and 65 for failed SnapStart hooks.
"""

import asyncio
import logging
import os
import signal
import site
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from . import failures, function, gc_tuning, logs, wire
from .client import RuntimeAPI, RuntimeApiConnection
from .delivery import RuntimeConfig
from .environment import Environment, read_environment
from .errors import LambdaRuntimeError
from .lifespan import LifespanRun
from .loader import Application, LoadError, load
from .loop import Runtime
from .reply import ProtocolError
from .threads import HandlerThreads, InvocationThreads, MainThread

logger = logging.getLogger(__package__)

LIFESPAN_SHUTDOWN_SECONDS = 0.25  # seconds; Lambda kills after 0.3
LAST_TASKS_SECONDS = 0.02  # for tasks that are left when all else has ended
LAST_THREADS_SECONDS = 1.0  # for threads that are left then, where no platform kills them
BLOCKED_LOOP_SECONDS = 2.0  # for a loop that does not return from the application to hear SIGTERM


class StartFailedError(LambdaRuntimeError):
    """A phase before the first invocation failed: where to report it, and the exit status."""

    def __init__(self, error: BaseException, kind: str | None, path: str, status: int) -> None:
        super().__init__(str(error))
        self.failure = failures.describe_start_error(error, kind)
        self.path = path
        self.status = status


def main() -> int:
    """Run until Lambda stops the sandbox. Gives the exit status."""
    try:
        environment = read_environment(os.environ)
        api = RuntimeAPI(environment.api)
    except LambdaRuntimeError as error:
        sys.stderr.write(f"riverrun: {error.message}\n")
        if os.environ.get("AWS_LAMBDA_RUNTIME_API"):
            report_bad_environment(os.environ["AWS_LAMBDA_RUNTIME_API"], error)
        return 1
    os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)  # ours alone, as under the stock runtime
    logs.configure(
        json_logs=environment.json_logs,
        level=environment.log_level,
        telemetry_fd=environment.telemetry_fd,
    )
    set_path(environment)
    try:
        application = load_application(environment.handler)
    except StartFailedError as failed:
        return end_start(api, failed)
    if (
        application.kind == "function"
        and environment.concurrency is None
        and function.is_synchronous(application.run)
    ):
        main_thread = MainThread()
        run = partial(run_loop, api, application, environment, main_thread)
        return main_thread.serve(run, end_process)
    return run_loop(api, application, environment, InvocationThreads())


def run_loop(
    api: RuntimeAPI, application: Application, environment: Environment, threads: HandlerThreads
) -> int:
    """Run the runtime's event loop on this thread. Gives the exit status."""
    runner = asyncio.Runner()
    status = 1
    try:
        status = runner.run(serve(api, application, environment, threads))
    except StartFailedError as failed:
        status = end_start(api, failed)
    except LambdaRuntimeError as error:
        logger.critical("%s", error.message)
    except Exception:
        logger.critical("The runtime failed.", exc_info=True)
    finally:
        with end_in_time(status):
            runner.close()  # joins the threads that the application left
    return status


@contextmanager
def end_in_time(status: int) -> Iterator[None]:
    """End the process where the block does not: a thread that does not return is not waited for."""
    last = threading.Timer(LAST_THREADS_SECONDS, end_process, (status,))
    last.daemon = True
    last.start()
    try:
        yield
    finally:
        last.cancel()


def end_start(api: RuntimeAPI, failed: StartFailedError) -> int:
    """Log and report why the start failed. Gives the exit status."""
    logger.critical("%s: %s", failed.failure.type, failed.message, exc_info=failed.__cause__)
    asyncio.run(report_failure(api, failed.path, failed.failure))
    return failed.status


def end_process(status: int) -> None:
    """End the process at once: a handler function that does not return cannot be waited for."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def set_path(environment: Environment) -> None:
    """Make importable what the stock runtime makes importable: the function's own code first."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    if environment.task_root:
        folders.insert(0, environment.task_root)
    if environment.runtime_dir:
        folders.append(environment.runtime_dir)
    for folder in folders:
        if os.path.isdir(folder):  # noqa: PTH112 (pathlib costs a cold start more than it says)
            site.addsitedir(folder)
    if environment.task_root:
        sys.path[:] = [environment.task_root] + [
            folder for folder in sys.path if folder != environment.task_root
        ]


def load_application(name: str) -> Application:
    """Import the function. Whatever its module raises becomes a `StartFailedError`."""
    try:
        return load(name)
    except LoadError as error:
        raise StartFailedError(error, error.type, wire.INIT_ERROR, 1) from error
    except BaseException as error:
        raise StartFailedError(error, None, wire.INIT_ERROR, 1) from error


async def serve(
    api: RuntimeAPI, application: Application, environment: Environment, threads: HandlerThreads
) -> int:
    """Start the application, answer invocations, shut down after SIGTERM."""
    lifespan = LifespanRun(application)
    try:
        await lifespan.startup()
    except LambdaRuntimeError as error:
        raise StartFailedError(error, "Runtime.StartupFailed", wire.INIT_ERROR, 1) from error
    gc_tuning.restore()
    if environment.snap_start:
        await sleep_and_restore(api)
    runtime = Runtime(
        RuntimeConfig(api, application, environment, dict(os.environ), threads, lifespan.state)
    )
    loop = asyncio.get_running_loop()
    if isinstance(threads, MainThread):
        threads.on_sigterm = partial(loop.call_soon_threadsafe, runtime.stop)
    else:
        stop_on_sigterm(loop, runtime.stop)
    await runtime.run()
    await lifespan.shutdown(LIFESPAN_SHUTDOWN_SECONDS)
    await end_tasks()
    return 0


def stop_on_sigterm(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call `stop` in `loop` at SIGTERM. A loop that an application blocks is not waited for."""

    def on_sigterm(*_: object) -> None:
        # asyncio's own handlers are called by the loop; this one also between two lines of what
        # blocks it.
        last = threading.Timer(BLOCKED_LOOP_SECONDS, end_blocked)
        last.daemon = True
        loop.call_soon_threadsafe(hear, last)
        last.start()

    def hear(last: threading.Timer) -> None:
        last.cancel()
        stop()

    def end_blocked() -> None:
        logger.error("The application blocks the event loop. The process ends.")
        end_process(0)

    signal.signal(signal.SIGTERM, on_sigterm)


async def end_tasks() -> None:
    """Cancel every other task, and end the process where one does not end: none is waited for."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    _, left = await asyncio.wait(tasks, timeout=LAST_TASKS_SECONDS)
    if left:
        logger.error("%d tasks do not stop when cancelled. The process ends.", len(left))
        end_process(0)


async def sleep_and_restore(api: RuntimeAPI) -> None:
    """SnapStart's phases, each with its own error and exit status."""
    from . import snapstart

    try:
        await snapstart.before_snapshot()
    except Exception as error:
        raise StartFailedError(error, "Runtime.BeforeSnapshotError", wire.INIT_ERROR, 64) from error
    api_connection = RuntimeApiConnection(api)
    try:
        await snapstart.wait_for_restore(api_connection)
        await snapstart.after_restore()
    except Exception as error:
        raise StartFailedError(
            error, "Runtime.AfterRestoreError", wire.RESTORE_ERROR, 65
        ) from error
    finally:
        api_connection.close()


async def report_failure(api: RuntimeAPI, path: str, failure: wire.Failure) -> None:
    """Report to Lambda why there will be no invocations, if the Runtime API can be reached."""
    api_connection = RuntimeApiConnection(api)
    try:
        reply = await api_connection.post(wire.phase_error(path, failure, host=api.host))
    except (OSError, ProtocolError) as error:
        logger.error("The failed start could not be reported: %s", error)
    else:
        if reply.status != 202:  # on Managed Instances another process may have been first
            logger.warning("The report of the failed start was answered %d.", reply.status)
    finally:
        api_connection.close()


def report_bad_environment(host: str, error: LambdaRuntimeError) -> None:
    """An unknown setting is an init error like any other, if the API's address is usable."""
    try:
        api = RuntimeAPI(host)
    except LambdaRuntimeError:
        return
    asyncio.run(
        report_failure(
            api, wire.INIT_ERROR, failures.describe_start_error(error, "Runtime.SetupError")
        )
    )
