"""Applications of other people's kinds, built and run with the packed client."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser
from tests.clients.javascript.installed import needs_packages
from tests.clients.javascript.workshop import MODULES, call, needs_examples, node, set_up
from tests.netlify.wire import Exchange, final, serve, sources, status, token

pytestmark = [pytest.mark.node, needs_packages, needs_examples]

WORDS = ("Eat ", "early.")
ANSWER = "".join(WORDS)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples and the packed client."""
    base = tmp_path_factory.getbasetemp()
    # Under xdist each worker has a folder below that of the run.
    shared = base.parent if base.name.startswith("popen-") else base
    return set_up(shared / "workshop")


def test_the_package_is_what_it_promises(shop: Path) -> None:
    """ESM only, and said so: publint and Are the Types Wrong have nothing to say."""
    client = shop / "node_modules" / "@riverrun" / "client"
    node(shop, "node_modules/publint/src/cli.js", str(client), "--strict")
    # It fails where it finds anything that the profile does not allow.
    node(
        shop, "node_modules/@arethetypeswrong/cli/dist/index.js", str(shop.parent / "client.tgz"),
        "--profile", "esm-only",
    )  # fmt: skip
    package = json.loads((client / "package.json").read_text())
    assert package["type"] == "module"
    assert "require" not in json.dumps(package["exports"])


@pytest.mark.parametrize("compiler", ["typescript", "typescript-5.4"])
def test_a_library_with_declarations_compiles(shop: Path, compiler: str) -> None:
    """Every type that the compiler has to name is exported; an application sees them all."""
    tsc = f"node_modules/{compiler}/bin/tsc"
    shutil.rmtree(shop / "typescript_library" / "dist", ignore_errors=True)
    node(shop, tsc, "-p", "typescript_library")
    declared = (shop / "typescript_library" / "dist" / "index.d.ts").read_text()
    assert "any" not in declared.replace("company", "")
    node(shop, tsc, "-p", "typescript_consumer")


@pytest.mark.parametrize("runtime", ["node-18", "node-22", "deno", "bun"])
def test_a_script_asks_from_any_runtime(shop: Path, runtime: str) -> None:
    """Through a connection that is cut once."""
    left = [2, 9]

    def answer(exchange: Exchange) -> None:
        exchange.open()
        events = [status(1, "executing", "Searching"), sources("Tokyo")]
        events += [*map(token, WORDS), final(ANSWER, sources=sources("Tokyo")["sources"])]
        after = 0 if exchange.asked.method == "POST" else 2
        for seq, event in enumerate(events[after : left.pop(0)], after + 1):
            exchange.send(seq, event)

    with serve(answer) as wire:
        script = ("any_runtime/ask.mjs", wire.url, "Where?")
        if runtime.startswith("node"):
            said = node(shop, *script, runtime=runtime)
        else:
            found = sorted(
                MODULES.glob({"deno": "@deno/*/deno", "bun": "@oven/*/bin/bun"}[runtime])
            )
            if not found:
                pytest.skip(f"there is no {runtime} for this machine")
            more = ["run", "-A", "--no-lock"] if runtime == "deno" else ["run"]
            said = call([str(found[0]), *more, *script], shop, DENO_NO_UPDATE_CHECK="1")
        assert said == f"{ANSWER}\n[1] Tokyo\n"
        assert wire.resumes() == ["run-2"]


class Model:
    """Answers each question with a run of its own, which is read from anywhere; or stopped."""

    def __init__(self) -> None:
        self.runs = 0
        self.hold = False

    def answer(self, exchange: Exchange) -> None:
        """Start, read or stop a run."""
        path = exchange.asked.path
        if path.endswith("/stop"):
            exchange.server.gate(f"stop {path.split('/')[4]}").set()
            return exchange.reply(202, {})
        if path == "/api/chat":
            self.runs += 1
            run, after = f"r{self.runs}", 0
        else:
            run, after = path.split("/")[4], int(path.split("after=")[1].split("&")[0])
        stopped = self.hold  # as it was when the question came
        exchange.open(run)
        events: list[dict[str, Any]] = [token("x") for _ in range(150)]
        for seq, event in enumerate(events, 1):
            if seq > after:
                exchange.send(seq, event, run=run)
        if stopped:
            exchange.raw(b": waiting\n")
            exchange.wait(f"stop {run}")
        end = final("x" * 150, finishReason="cancelled" if stopped else "stop", runId=run)
        return exchange.send(151, end, run=run)


SHOWN_RUN = "sessionStorage.getItem('the run that is shown')"


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["development", "production"])
def test_vite_and_react(shop: Path, browser: Browser, mode: str) -> None:
    """StrictMode, two components, a burst, a reload, asking again, an effect that stops."""
    dist = shop / f"dist-{mode}"
    node(
        shop, "node_modules/vite/bin/vite.js", "build", "vite_react", "--mode", mode,
        "--outDir", str(dist), "--logLevel", "warn", NODE_ENV=mode,
    )  # fmt: skip
    model = Model()
    quiet = "document.querySelector('#answer')?.dataset.state === 'quiet'"
    whole = f"{quiet} && document.querySelector('#answer').dataset.length === '150'"
    with serve(model.answer, dist) as wire, browser.page() as page:
        page.open(wire.url)
        page.wait_for(quiet)
        page.click("#ask")
        page.wait_for(whole)
        assert len(wire.questions()) == 1
        # After a reload the run is shown from its beginning, once, though StrictMode mounts twice.
        page.open(wire.url)
        page.wait_for(whole)
        assert wire.resumes() == ["r1-0"]
        # Stop and the same question again: another run, at once.
        model.hold = True
        page.click("#ask")
        # Until the page knows the run it would stop: before, there is none to stop at the server.
        page.wait_for(f"{SHOWN_RUN} === 'r2'")
        page.wait_for("document.querySelector('#answer').dataset.length === '150'")
        model.hold = False
        page.click("#again")
        page.wait_for(whole)
        assert wire.gate("stop r2").wait(60)
        assert (len(wire.questions()), len(wire.stops())) == (3, 1)
        assert page.complaints == []
    # An effect that starts and a clean-up that stops: one question, and the unmounting stops it.
    model = Model()
    model.hold = True
    with serve(model.answer, dist) as wire, browser.page() as page:
        page.open(f"{wire.url}/#greet")
        page.wait_for("document.querySelector('#greeting')?.innerText.length === 150")
        assert len(wire.questions()) == 1
        page.click("#leave")
        assert wire.gate("stop r1").wait(60)
        assert page.complaints == []


@pytest.mark.browser
def test_a_page_that_a_server_rendered(shop: Path, browser: Browser) -> None:
    """It is hydrated without a complaint, and then asks."""
    page_of = shop / "server_rendered"
    (page_of / "index.html").write_text(node(shop, "server_rendered/server.mjs"))
    assert "Nothing yet." in (page_of / "index.html").read_text()
    dist = shop / "dist-rendered"
    node(
        shop, "node_modules/vite/bin/vite.js", "build", "server_rendered", "--mode", "development",
        "--outDir", str(dist), "--logLevel", "warn", NODE_ENV="development",
    )  # fmt: skip
    with serve(Model().answer, dist) as wire, browser.page() as page:
        page.open(wire.url)
        page.click("#ask")
        page.wait_for("document.querySelector('#answer').innerText.length === 150")
        assert page.complaints == []


@pytest.mark.browser
def test_a_page_with_a_module_and_nothing_built(shop: Path, browser: Browser) -> None:
    """`<script type="module">` and an import map; Stop is the server's."""
    site = shop / "dist-plain"
    client = shop / "node_modules" / "@riverrun" / "client"
    shutil.copytree(client, site / "node_modules" / "@riverrun" / "client", dirs_exist_ok=True)
    shutil.copy(shop / "module_page" / "index.html", site)
    model = Model()
    model.hold = True
    with serve(model.answer, site) as wire, browser.page() as page:
        page.open(wire.url)
        page.wait_for("document.querySelector('#answer').innerText.length === 150")
        page.click("#stop")
        page.wait_for("document.title === 'cancelled'")
        assert (len(wire.questions()), wire.stops()) == (1, ["/api/chat/runs/r1/stop"])


@pytest.mark.soak
def test_an_answer_is_paid_once_while_the_network_flaps(shop: Path) -> None:
    """Beside `useChat`, which pays each try: the figures of docs/clients.md, in fewer rounds."""
    report = json.loads(node(shop, "flapping/compare.mjs", "1", "8"))
    ours, theirs = report["read"]["riverrun"], report["read"]["useChatModelGoesOn"]
    assert ours["outcome"] == {"whole": 8}
    assert ours["paidMs"] == report["wholeAnswerMs"] < theirs["paidMs"]
    assert ours["requests"] <= 6
    stopped = report["stop"]["riverrun"]
    assert set(stopped["outcome"]) <= {"cancelled", "stop"}
    assert stopped["paidMs"] < report["wholeAnswerMs"]
