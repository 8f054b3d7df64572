/**
 * One run, from the question to its last event, over as many connections as that takes.
 *
 * A connection that ends without a terminal event is never a success: the run is read on from the
 * last event that arrived, and after too many failed tries it is a `RiverrunError`.
 */
import { createCursor } from "./cursor.js";
import { defaultEnvironment } from "./environment.js";
import { LostError, RiverrunError, notify } from "./errors.js";
import { fetchTransport, send } from "./fetch_transport.js";
import { RETRY_POLICY, createRetryCounter } from "./retry_policy.js";
import { createWaiting } from "./waiting.js";

/**
 * @typedef {import("./events.js").RunEvent} RunEvent
 * @typedef {import("./events.js").ChatResponse} ChatResponse
 * @typedef {import("./types.js").Callbacks} Callbacks
 * @typedef {import("./types.js").ConnectionOptions} ConnectionOptions
 * @typedef {import("./types.js").StreamOptions} StreamOptions
 * @typedef {import("./types.js").JoinOptions} JoinOptions
 * @typedef {import("./types.js").Stream} Stream
 */

const ACCEPT = { Accept: "text/event-stream" };

/** The callback for each type of event, and the field that it gets. @type {any} */
const CALLBACKS = {
  __proto__: null, // a type may be called "constructor"
  status: ["onStatus", "status"],
  token: ["onToken", "text"],
  sources: ["onSources", "sources"],
  reset: ["onReset", "reason"],
  final: ["onComplete", "result"],
};

/**
 * Ask `query`, and read the answer as it is written.
 *
 * With callbacks it starts by itself; without, when it is iterated or its `result` is asked for.
 * An iteration that ends without an exception has seen the `final` event. Whatever goes wrong is
 * mended, or thrown as a `RiverrunError` and given to `onError`; with neither `onError` nor a
 * reader of `result`, it is an unhandled rejection rather than nothing. What a callback throws is
 * reported (`reportError`) and does not end the reading.
 *
 * `stop()` ends the run on the server, with the same tries as reading, and is true when the server
 * accepted it. The reading then ends with the run's last event, or after `retryPolicy.grace` as
 * `cancelled`; where the server could not be told, as `not_stopped`. Breaking off the iteration,
 * or aborting `signal`, only stops reading: the answer goes on, and `join` finds it.
 *
 * The same `idempotencyKey` joins the run that it started, from whatever page or machine.
 *
 * @param {string} query
 * @param {StreamOptions} [options]
 * @returns {Stream}
 */
export function stream(query, options = {}) {
  const { sessionId, topK, include, metadata, idempotencyKey = newKey() } = options;
  const asked = { query, streaming: true, resume: true, sessionId, topK, include, metadata };
  return readRun(createCursor("", 0), JSON.stringify(asked), idempotencyKey, options);
}

/**
 * Read a run that is already started, from after its event number `after` (0: all of it). The same
 * as `stream`, otherwise.
 *
 * @param {string} runId
 * @param {JoinOptions} [options]
 * @returns {Stream}
 */
export function join(runId, options = {}) {
  return readRun(createCursor(runId, options.after ?? 0), "", "", options);
}

/**
 * @param {ReturnType<typeof createCursor>} cursor
 * @param {string} body what starts the run; empty where it is joined
 * @param {string} key
 * @param {Callbacks & ConnectionOptions} options
 * @returns {Stream}
 */
function readRun(cursor, body, key, options) {
  const { endpoint = "/api/chat", transport = fetchTransport, signal } = options;
  const policy = { ...RETRY_POLICY, ...options.retryPolicy };
  const environment = { ...defaultEnvironment(), ...options.environment };
  const waiting = createWaiting(environment, policy);
  const tries = createRetryCounter(policy, environment.random);
  const [, base, search = ""] = /** @type {string[]} */ (/^([^?#]*?)\/*(\?[^#]*)?(#.*)?$/.exec(endpoint));
  let sent = cursor.known; // the server may know of the run
  let reading = false;
  let left = false; // the caller does not read any more
  let stopping = false;
  let accepted = false;
  /** @type {Promise<void> | null} */
  let stopTask = null;
  let endGrace = () => {};
  let nameRun = () => {};
  /** Settled when the run has a name, or reading ends without one. @type {Promise<void>} */
  const named = new Promise((resolve) => (nameRun = resolve));

  const leave = () => {
    left = true;
    waiting.wake(true);
  };

  /** @type {(rest: string) => string} */
  const runUrl = (rest) => `${base}/runs/${encodeURIComponent(cursor.runId)}/${rest}`;

  /** @type {(url: string, body: string, more?: Record<string, string>) => import("./types.js").Request} */
  const post = (url, body, more) => ({ url, method: "POST", body, headers: { ...ACCEPT, "Content-Type": "application/json", ...more } });

  /** @type {(wire: import("./waiting.js").Wire) => import("./types.js").Tools} */
  const toolsOf = ({ signal }) => ({
    ...environment,
    signal,
    async headers(renew) {
      const given = options.headers;
      return typeof given === "function" ? given({ unauthorized: renew }) : renew ? null : given;
    },
  });

  /** @type {() => AsyncGenerator<RunEvent, void>} */
  async function* events() {
    const endWakes = environment.onWake(waiting.wake);
    signal?.addEventListener("abort", leave);
    reading = true;
    try {
      await null; // what is stopped in the same breath is not sent
      for (;;) {
        if (signal?.aborted) throw signal.reason ?? failed("Aborted.", "aborted");
        // What was stopped before it was sent need not be sent.
        if (left || (stopping && !sent)) throw stopped();
        try {
          return yield* connection();
        } catch (lost) {
          if (!left) await waiting.retry(lost, tries, options.onRetry);
        }
      }
    } catch (problem) {
      endReading();
      await stopTask;
      let error = problem instanceof LostError && stopping ? stopped() : problem;
      // What a transport throws is told as any other end; an aborted signal has its own reason.
      if (!(error instanceof RiverrunError || signal?.aborted)) error = failed(String(error), "internal");
      if (error instanceof RiverrunError) {
        const { answer, steps } = error.partial;
        error.runId ||= cursor.runId;
        error.cursor ||= cursor.toString();
        // What was read here stays, unless the server knows the same or more of it.
        if (answer.length < cursor.partial.answer.length || !steps[0]) error.partial = cursor.partial;
        notify(options.onError, error);
      }
      throw error;
    } finally {
      endReading();
      endWakes();
      signal?.removeEventListener("abort", leave);
      endGrace();
    }
  }

  function endReading() {
    reading = false;
    nameRun();
  }

  /** Read one connection, to the terminal event. Throws `LostError` where it ends before. */
  async function* connection() {
    sent = true;
    const wire = waiting.open();
    const asked = cursor.known
      ? { url: runUrl(`events?after=${cursor.seq}&resume=1${search.replace("?", "&")}`), headers: ACCEPT }
      : post(endpoint, body, { "Idempotency-Key": key });
    const items = transport(asked, toolsOf(wire));
    try {
      for (;;) {
        // Only the connection is timed: the caller may look at an event for as long as it likes.
        if (left && reading) throw new LostError("");
        const { done, value } = await wire.within(items.next());
        if (done) throw new LostError("Cut off.");
        const event = receive(value);
        if (!event) continue;
        if (cursor.ended) wire.close(); // nothing may keep the socket
        if (reading) dispatch(event);
        yield event;
        if (cursor.ended) return;
      }
    } catch (problem) {
      if (problem instanceof LostError) throw problem;
      cursor.ended = true; // refused: there is nothing to stop
      throw problem instanceof RangeError ? failed(problem.message, "too_large") : problem;
    } finally {
      wire.close();
      void items.return().catch(() => {});
    }
  }

  /** @type {(item: import("./types.js").WireItem) => RunEvent | null} */
  function receive(item) {
    tries.wasAnswered = true;
    if (item.retry != null) tries.firstWait = Math.min(Math.max(item.retry, 100), policy.longestWait);
    if ("runId" in item) notify(options.onOpen, (cursor.runId = item.runId || cursor.runId));
    const event = "data" in item ? cursor.accept(item) : null;
    if (event) tries.failures = 0;
    if (cursor.runId) nameRun();
    return event;
  }

  /** @type {(event: RunEvent) => void} */
  function dispatch(event) {
    notify(options.onEvent, event);
    const [name, field] = CALLBACKS[event.type] ?? [];
    notify(/** @type {any} */ (options)[name], /** @type {any} */ (event)[field]);
  }

  /** @type {(message: string, code: string) => RiverrunError} */
  const failed = (message, code) => new RiverrunError(message, { code });

  /** `cancelled` is only said where it is so. */
  const stopped = () => (accepted || !sent ? failed("Stopped.", "cancelled") : failed("It may not have stopped.", "not_stopped"));

  async function stop() {
    if (accepted || cursor.ended) return accepted;
    stopping = true;
    waiting.wake(false);
    if (sent) await (stopTask ??= sendStop());
    return accepted;
  }

  /** Tell the server to stop, with the same tries as reading. */
  async function sendStop() {
    const counter = createRetryCounter(policy, environment.random);
    counter.wasAnswered = true;
    while (!accepted && !cursor.ended) {
      const wire = waiting.open();
      try {
        // A question whose answer is awaited tells the name of its run; one whose answer is not
        // awaited any more is asked again, under its key.
        if (!cursor.runId && reading) await named;
        else if (!cursor.runId) for await (const _ of connection()) break;
        else {
          await wire.within(send({ ...post(runUrl(`stop${search}`), "{}"), keepalive: true }, toolsOf(wire), false));
          accepted = true;
        }
      } catch (problem) {
        if (await waiting.retry(problem, counter).catch(() => true)) break;
      } finally {
        wire.close();
      }
    }
    stopTask = null;
    if (!accepted) leave();
    else if (reading) endGrace = environment.timer(leave, policy.grace);
  }

  const run = events();
  let taken = false;
  /** @type {Promise<ChatResponse> | undefined} */
  let result;

  function read() {
    if (taken) throw new TypeError("Read already.");
    taken = true;
    return run;
  }

  async function drain() {
    let last;
    for await (const event of read()) last = event;
    return /** @type {any} */ (last).result;
  }

  if (/\bon[A-Z]/.test(String(Object.keys(options)))) {
    queueMicrotask(() => {
      if (taken) return;
      result ??= drain();
      if (options.onError) result.catch(() => {});
    });
  }

  return {
    get runId() {
      return cursor.runId;
    },
    get cursor() {
      return cursor.toString();
    },
    idempotencyKey: key,
    get result() {
      return (result ??= drain());
    },
    stop,
    [Symbol.asyncIterator]: read,
  };
}

/** `crypto.randomUUID` is missing on a page that is not secure, in Node 18 and in React Native. */
const newKey = () => globalThis.crypto?.randomUUID?.() ?? String(Math.random()) + Math.random();
