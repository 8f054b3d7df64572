/**
 * An answer while it is written, as a value that changes: what a user interface shows. It knows no
 * framework; `react.js` is one that listens.
 */
import { notify } from "./errors.js";
import { join, stream } from "./stream.js";

/**
 * @typedef {import("./errors.js").RiverrunError} RiverrunError
 * @typedef {import("./types.js").StreamOptions} StreamOptions
 *
 * @typedef {import("./types.js").Answer} Answer
 *
 * @typedef {{
 *   name: string, more: StreamOptions & {after?: number}, done?: boolean,
 *   stream: import("./types.js").Stream, controller: AbortController,
 * }} Run `name`: its question; `more`: the options that it was started with; `done`: it is stopping, or over
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
  isStopping: false,
};

/** Milliseconds between two looks at a changing answer: a frame. */
const FRAME = 16;

/**
 * A place for one answer at a time.
 *
 * `start(query)` asks; while the same question is being answered it does nothing, and another
 * question stops the one before. `resume()` reads on where a failed or left answer broke off, or
 * `resume(runId)` a run from its beginning; where there is nothing to read on it does nothing.
 * `stop()` ends the run on the server. Unmounting only ends the reading.
 *
 * `setOptions(owner, options)` says the options of one owner, to be replaced whenever they change;
 * headers and callbacks of a run that is being read change too. Without options the owner is gone.
 */
export function createAnswer() {
  let latest = EMPTY; // what is known
  let shown = EMPTY; // what listeners were told: many changes in a frame are one
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let frame;
  /** @type {Run | null} */
  let run = null;
  /** The last run, for `resume`. @type {Run | null} */
  let last = null;
  /** @type {Map<object, StreamOptions>} */
  const owners = new Map();
  /** @type {StreamOptions} */
  let options = {};
  /** @type {Set<() => void>} */
  const listeners = new Set();

  /** @type {(owner: object, given?: StreamOptions) => void} */
  function setOptions(owner, given) {
    if (given) owners.set(owner, given);
    else owners.delete(owner);
    // A run whose last component is gone goes on with what that one said.
    if (owners.size) options = Object.assign({}, ...owners.values());
  }

  /** @type {(change: Partial<Answer>) => void} */
  function change(change) {
    latest = { ...latest, ...change };
    frame ??= setTimeout(show, FRAME);
  }

  function show() {
    clearTimeout(frame);
    frame = undefined;
    shown = latest;
    for (const listener of [...listeners]) notify(listener);
  }

  /** Read the run `runId`, or ask the question of `state`. @type {(state: Partial<Answer>, name: string, more: Run["more"], runId?: string) => void} */
  function begin(state, name, more, runId) {
    const controller = new AbortController();
    const mine = /** @type {Run} */ ({ name, more, controller });
    /** An answer that was replaced may not write into the next one. @type {(change: Partial<Answer>) => void} */
    const tell = (news) => {
      const { runId, cursor } = mine.stream;
      if (run === mine) change({ runId, cursor, retrying: null, ...news });
    };
    const given = (/** @type {string} */ key) => /** @type {any} */ (key in more ? more : options)[key];
    const live = new Proxy(/** @type {any} */ ({}), {
      get(_, /** @type {string} */ key) {
        if (key === "signal") return controller.signal;
        if (!key.startsWith("on")) return given(key);
        return (/** @type {any} */ value) => {
          if (run !== mine) return;
          if (key === "onRetry") tell({ retrying: value });
          // Before a listener hears of the end, which may start the next.
          mine.done ||= key === "onError" || (key === "onEvent" && value.type === "final");
          notify(given(key), value);
        };
      },
    });
    /** @type {AbortSignal | undefined} */
    const signal = given("signal");
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", abort, controller); // until `controller.signal`
    // A signal that ended the reading before does not forbid to resume it.
    if (signal?.aborted && last?.more !== more) abort();

    run = last = mine;
    latest = { ...latest, ...state, isStreaming: true, isStopping: false };
    mine.stream = runId ? join(runId, live) : stream(latest.query, live);
    void follow(mine, tell);
    show();
  }

  /** @type {(mine: Run, tell: (change: Partial<Answer>) => void) => Promise<void>} */
  async function follow(mine, tell) {
    const end = { isStreaming: false, isStopping: false };
    try {
      for await (const event of mine.stream) {
        if (event.type === "status") {
          const { status } = event;
          const others = latest.steps.filter(({ step }) => step !== status.step);
          tell({ status, steps: [...others, status].sort((a, b) => a.step - b.step) });
        }
        if (event.type === "token") tell({ answer: latest.answer + event.text });
        if (event.type === "reset") tell({ answer: "" });
        if (event.type === "sources") tell({ sources: event.sources });
        if (event.type === "final") {
          const { answer, sources } = event.result;
          tell({ ...end, result: event.result, answer, sources: sources?.[0] ? sources : latest.sources });
        }
      }
    } catch (problem) {
      const error = /** @type {RiverrunError} */ (problem);
      tell({ ...end, ...(!mine.controller.signal.aborted && { error }) }); // a caller that left knows it
    } finally {
      mine.controller.abort();
      if (run === mine) run = null;
    }
  }

  /** @type {(query: string, more?: StreamOptions) => void} */
  function start(query, more) {
    const { sessionId, topK, include, metadata, idempotencyKey } = { ...options, ...more };
    const question = { sessionId, topK, include, metadata, idempotencyKey }; // which a run keeps
    const name = JSON.stringify([query, question]);
    if (run && !run.done && run.name === name) return;
    if (run) void stop(run);
    begin({ ...EMPTY, query }, name, { ...more, ...question });
  }

  /** @type {(runId?: string, more?: StreamOptions) => void} */
  function resume(runId, more) {
    if (run && !run.done) return;
    if (runId) return begin(EMPTY, "", { ...more }, runId);
    if (!last || latest.result) return; // there is nothing to read on
    // From the cursor, or by the key: it joins the run, if there is one.
    const { runId: found, cursor, idempotencyKey } = last.stream;
    Object.assign(last.more, more, { idempotencyKey, after: +cursor.slice(found.length + 1) });
    begin({ error: null }, last.name, last.more, cursor && found);
  }

  /** What is read, or what was read last: its reading may have ended before its run. */
  async function stop(mine = run ?? last) {
    if (!mine) return false;
    mine.done = true;
    if (mine === run) change({ isStopping: true });
    return mine.stream.stop();
  }

  /** End the reading. A run that is being stopped is stopped all the same. */
  function leave() {
    const left = run && !run.done && run;
    if (left) left.controller.abort();
    return left;
  }

  let comeBack = () => {};

  return {
    start,
    stop: () => stop(),
    resume,
    setOptions,
    getSnapshot: () => shown,

    /** Read on if unmounted before. Returns what ends the reading, a little later: StrictMode mounts again at once. */
    mount() {
      comeBack();
      return () => {
        const timer = setTimeout(() => {
          if (leave()) comeBack = resume;
        });
        comeBack = () => clearTimeout(timer);
      };
    },

    /** Forget everything. */
    clear() {
      leave();
      run = last = null;
      latest = EMPTY;
      show();
    },

    /** @type {(listener: () => void) => () => void} */
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The empty answer, for a server that renders. */
export const emptyAnswer = () => EMPTY;
