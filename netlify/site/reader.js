/** Reads one turn's run to its end over the client, and tells the turn each event. */
import { outcomeOf } from "./client/analytics.js";
import { RiverrunError, join, stream } from "./client/index.js";
import { brand, say, words } from "./say.js";
import { applyEvent, failTurn, runOf } from "./turn.js";

/** Longer than half a minute is for the person to wait, who can be told. */
const LONGEST_WAIT_MS = 30_000;

/**
 * Read the run of `entry.turn` from its cursor, or ask its question. `entry.run` is the stream
 * while it is read; `entry.reading` aborts the reading without stopping the run.
 */
export async function readTurn(entry, { now, analytics, headers }) {
  const change = (event) => entry.change(applyEvent(entry.turn, event, now()), true);
  const after = Number(/-([0-9]+)$/.exec(entry.turn.cursor)?.[1] ?? 0);
  // A pause is the server's affair; it becomes the reader's when coming back brings nothing.
  const onRetry = ({ paused, attempt }) => (paused && attempt === 1) || change({ type: "cut" });
  const options = {
    endpoint: brand.endpoint,
    headers,
    signal: entry.reading.signal,
    retryPolicy: { longestRetryAfter: LONGEST_WAIT_MS },
    onOpen: () => change({ type: "open" }),
    onRetry,
  };
  // Under the same key the question is asked once, though a reload may send it again.
  const asked = { ...options, sessionId: entry.turn.asks, idempotencyKey: entry.turn.id };
  const runId = runOf(entry.turn);
  const run = runId ? join(runId, { ...options, after }) : stream(entry.turn.question, asked);
  const watch = analytics.watch();
  entry.run = run;
  try {
    for await (const event of run) {
      watch.event(event);
      if (event.type === "final") watch.end(outcomeOf(event));
      entry.change({ ...applyEvent(entry.turn, event, now()), cursor: run.cursor }, true);
    }
  } catch (problem) {
    watch.end(outcomeOf(problem));
    if (entry.isGone) return;
    if (!(problem instanceof RiverrunError)) console.error(problem);
    const isGone = entry.isShared && ["not_found", "expired"].includes(problem.code);
    const told = isGone ? { message: say("sharedGone"), code: problem.code } : explain(problem);
    entry.change(failTurn(entry.turn, told, now()), true);
  } finally {
    entry.run = null;
  }
}

/** The question of a run that was handed on, by its state; "" where the server does not say. */
export async function readQuestion(runId, headers) {
  try {
    const response = await fetch(`${brand.endpoint}/runs/${encodeURIComponent(runId)}`, { headers, cache: "no-store" });
    const { query } = response.ok ? await response.json() : {};
    return typeof query === "string" ? query : "";
  } catch {
    return ""; // the reading itself tells what is wrong
  }
}

/** A problem in the words of this page. */
function explain(problem) {
  if (!(problem instanceof RiverrunError)) return { message: say("ownMistake"), code: "internal" };
  const { code, hint, partial, retryAfterMs, status } = problem;
  if (code === "not_stopped") return { message: say("maybeRunning"), code, partial };
  const name = { interrupted: "interrupted", unreachable: "unreachable", not_a_stream: "other", redirected: "other" }[status < 400 ? code : ""];
  return name ? { message: words.lost[name], code, partial, retryAfterMs, hint: hint || say("checkConnection") } : problem;
}
