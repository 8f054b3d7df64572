// `node transcripts.mjs core|hook` plays scenes: [{url, stop}] on standard input, what came of each
// as JSON on standard output.
import { readFileSync } from "node:fs";

import { stream } from "../../../clients/javascript/src/index.js";

const scenes = JSON.parse(readFileSync(0, "utf8"));
const QUESTION = "What is there to see?";
const GRACE = 4_000;

/** Waits take no time; silence and a stopped run's last words have theirs. */
const environment = {
  timer(run, ms) {
    const timer = setTimeout(run, ms === GRACE ? 1_000 : ms === 35_000 ? 10_000 : 0);
    return () => clearTimeout(timer);
  },
};

/** Stop where the scene says: after so many events, or once the server has the question. */
function stopper({ url, stop }) {
  const [what, number] = (stop?.after ?? "").split(" ");
  let stopped;
  return {
    onEvent: (count, run) => what === "event" && count === Number(number) && (stopped = run.stop()),
    async onRequest(run) {
      if (what !== "request") return;
      await fetch(`${url}/api/control/arrived`);
      stopped = run.stop();
      await fetch(`${url}/api/control/stopping`, { method: "POST", body: "{}" });
    },
    outcome: async () => (await stopped) ?? null,
  };
}

const endOf = (result, error) => (result ? (result.finishReason === "cancelled" ? "cancelled" : "final") : error.code);

async function playCore(scene) {
  const stop = stopper(scene);
  const run = stream(QUESTION, { endpoint: `${scene.url}/api/chat`, environment });
  let count = 0;
  let answer = "";
  let result = null;
  let error = null;
  const requested = stop.onRequest(run);
  try {
    for await (const event of run) {
      count += 1;
      if (event.type === "token") answer += event.text;
      if (event.type === "reset") answer = "";
      if (event.type === "final") result = event.result;
      stop.onEvent(count, run);
    }
  } catch (problem) {
    error = problem;
    answer = problem.partial.answer;
  }
  await requested;
  return { end: endOf(result, error), answer: result?.answer ?? answer, stopped: await stop.outcome() };
}

async function playHook(scene, { stage, act }) {
  const stop = stopper(scene);
  let count = 0;
  const view = stage({ endpoint: `${scene.url}/api/chat`, environment, onEvent: () => stop.onEvent((count += 1), view.shown) });
  await view.mount();
  await act(() => view.shown.start(QUESTION));
  const requested = stop.onRequest(view.shown);
  const { result, error, answer } = await view.until((now) => !now.isStreaming);
  await requested;
  const stopped = await stop.outcome();
  await view.unmount();
  return { end: endOf(result, error), answer, stopped };
}

const hook = process.argv[2] === "hook" ? await import("./stage.mjs") : null;
const seen = [];
for (const scene of scenes) seen.push(await (hook ? playHook(scene, hook) : playCore(scene)));
process.stdout.write(`\n${JSON.stringify(seen)}`);
process.exit(0);
