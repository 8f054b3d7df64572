/**
 * An answer while it is written, as a value that changes: what a user interface shows. It knows no
 * framework; `react.js` is one that listens.
 */
import { RiverrunError } from "./errors.js";
import { join, stream } from "./stream.js";

/**
 * @typedef {import("./events.js").ChatStatus} ChatStatus
 * @typedef {import("./stream.js").StreamOptions} StreamOptions
 *
 * @typedef {{
 *   query: string, runId: string, cursor: string, status: ChatStatus | null, steps: ChatStatus[],
 *   answer: string, sources: import("./events.js").Source[],
 *   result: import("./events.js").ChatResponse | null, error: RiverrunError | null,
 *   retrying: import("./events.js").RetryNotice | null, isStreaming: boolean,
 * }} Answer
 */

/** @type {Answer} */
const EMPTY = {
  query: "",
  runId: "",
  cursor: "",
  status: null,
  steps: [],
  answer: "",
  sources: [],
  result: null,
  error: null,
  retrying: null,
  isStreaming: false,
};

/**
 * A place for one answer at a time.
 *
 * `start(query)` asks; while the same question is being answered it does emptyPartial, and another
 * question stops the one before. `resume()` reads on where a failed or left answer broke off, or
 * `resume(runId)` a run from its beginning. `stop()` ends the run on the server.
 *
 * @param {StreamOptions} [options] without `on…`: `subscribe` is how this one is heard
 */
export function createAnswer(options = {}) {
  let shown = EMPTY;
  /** @type {import("./stream.js").Stream | null} */
  let running = null;
  let key = "";
  /** @type {Set<() => void>} */
  const listeners = new Set();

  /** @type {(change: Partial<Answer>) => void} */
  function show(change) {
    shown = { ...shown, ...change };
    for (const listener of [...listeners]) listener();
  }

  /** @type {(made: import("./stream.js").Stream) => Promise<void>} */
  async function follow(made) {
    running = made;
    key = made.idempotencyKey || key;
    // An answer that was replaced may not write into the next one.
    const tell = (/** @type {Partial<Answer>} */ change) => {
      if (running === made) show({ runId: made.runId, cursor: made.cursor, retrying: null, ...change });
    };
    try {
      for await (const event of made) {
        if (event.type === "status") tell({ status: event.status, steps: placed(shown.steps, event.status) });
        else if (event.type === "token") tell({ answer: shown.answer + event.text });
        else if (event.type === "reset") tell({ answer: "" });
        else if (event.type === "sources") tell({ sources: event.sources });
        else if (event.type === "final") tell(finished(event.result));
      }
    } catch (problem) {
      const error = problem instanceof RiverrunError ? problem : new RiverrunError(String(problem));
      tell({ error, isStreaming: false });
    } finally {
      if (running === made) running = null;
    }
  }

  /** @type {(result: import("./events.js").ChatResponse) => Partial<Answer>} */
  const finished = (result) => ({
    result,
    answer: result.answer,
    sources: result.sources?.length > 0 ? result.sources : shown.sources,
    isStreaming: false,
  });

  /** @type {(retrying: import("./events.js").RetryNotice) => void} */
  const onRetry = (retrying) => running && show({ retrying });

  /** @type {(query: string, more?: StreamOptions) => void} */
  function start(query, more) {
    if (running && shown.query === query) return;
    void stop();
    running = null;
    show({ ...EMPTY, query, isStreaming: true });
    void follow(stream(query, { ...options, ...more, onRetry }));
  }

  /** @type {(runId?: string) => void} */
  function resume(runId) {
    if (running) return;
    if (runId) show({ ...EMPTY, isStreaming: true });
    else show({ error: null, isStreaming: true });
    if (!runId && !shown.cursor) {
      // No event came yet: the same key joins the run, if there is one.
      const again = { ...options, idempotencyKey: key, onRetry };
      return void follow(stream(shown.query, again));
    }
    const [, run, seq] = /^(.*)-([0-9]+)$/.exec(runId ? `${runId}-0` : shown.cursor) ?? ["", "", "0"];
    void follow(join(run, { ...options, after: Number(seq), onRetry }));
  }

  async function stop() {
    return running?.stop() ?? false;
  }

  return {
    start,
    stop,
    resume,
    getSnapshot: () => shown,

    /** @type {(listener: () => void) => () => void} */
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The empty answer, for a server that renders. */
export const emptyAnswer = () => EMPTY;

/** @type {(steps: ChatStatus[], status: ChatStatus) => ChatStatus[]} */
function placed(steps, status) {
  const others = steps.filter(({ step }) => step !== status.step);
  return [...others, status].sort((a, b) => a.step - b.step);
}
