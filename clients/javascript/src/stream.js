/**
 * One run, from the question to its last event, over as many connections as that takes.
 *
 * A connection that ends without a terminal event is never a success: the run is read on from the
 * last event that arrived, and after too many failed tries it is a `RiverrunError`.
 */
import { LostError, RiverrunError } from "./errors.js";
import { fetchTransport } from "./fetch_transport.js";
import { RETRY_POLICY, createRetryCounter } from "./retry_policy.js";
import { createCursor } from "./cursor.js";
import { defaultEnvironment } from "./environment.js";

/**
 * @typedef {import("./events.js").RunEvent} RunEvent
 * @typedef {import("./events.js").ChatResponse} ChatResponse
 * @typedef {Record<string, string>} Headers
 *
 * @typedef {{
 *   onStatus?: (status: import("./events.js").ChatStatus) => void,
 *   onToken?: (text: string) => void,
 *   onSources?: (sources: import("./events.js").Source[]) => void,
 *   onReset?: (reason: string) => void,
 *   onComplete?: (result: ChatResponse) => void,
 *   onError?: (error: RiverrunError) => void,
 *   onEvent?: (event: RunEvent) => void,
 *   onOpen?: (runId: string) => void,
 *   onRetry?: (retrying: import("./events.js").RetryNotice) => void,
 * }} Callbacks
 *
 * @typedef {{
 *   endpoint?: string,
 *   headers?: Headers | ((why: {unauthorized: boolean}) => Headers | Promise<Headers>),
 *   signal?: AbortSignal,
 *   transport?: import("./fetch_transport.js").Transport,
 *   retryPolicy?: Partial<import("./retry_policy.js").RetryPolicy>,
 *   environment?: Partial<import("./environment.js").Environment>,
 * }} ConnectionOptions
 *
 * @typedef {{
 *   sessionId?: string, topK?: number, include?: string[], metadata?: Record<string, string>,
 *   idempotencyKey?: string,
 * }} Question
 *
 * @typedef {Callbacks & ConnectionOptions & Question} StreamOptions
 * @typedef {Callbacks & ConnectionOptions & {after?: number}} JoinOptions
 *
 * @typedef {AsyncIterable<RunEvent> & {
 *   readonly runId: string,
 *   readonly cursor: string,
 *   readonly idempotencyKey: string,
 *   readonly result: Promise<ChatResponse>,
 *   stop: () => Promise<boolean>,
 * }} Stream
 */

/** Which callback hears an event, and which of its fields. @type {Record<string, [string, string]>} */
const CALLS = {
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
 * mended, or thrown as a `RiverrunError` and given to `onError`; with neither `onError` nor anyone
 * who awaits `result`, it is an unhandled rejection rather than nothing.
 *
 * `stop()` ends the run on the server and is true when the server accepted it. Breaking off the
 * iteration, or aborting `signal`, only stops reading: the answer goes on, and `join` finds it.
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
  const tries = createRetryCounter(policy, environment.random);
  let left = false; // the caller does not read any more
  let stopping = false;
  let sent = cursor.known;
  let accepted = false;
  /** @type {(online: boolean) => void} */
  let wake = () => {};
  let endGrace = () => {};

  const leave = () => {
    left = true;
    wake(true);
  };
  const url = (/** @type {string} */ rest) => `${endpoint}/runs/${encodeURIComponent(cursor.runId)}/${rest}`;

  /** @type {() => import("./fetch_transport.js").Request} */
  function request() {
    const headers = { Accept: "text/event-stream" };
    if (cursor.known) return { url: url(`events?after=${cursor.seq}&resume=1`), method: "GET", headers };
    const posting = { ...headers, "Content-Type": "application/json", "Idempotency-Key": key };
    return { url: endpoint, method: "POST", headers: posting, body };
  }

  async function headers(renew = false) {
    const given = options.headers ?? {};
    return typeof given === "function" ? given({ unauthorized: renew }) : given;
  }

  /** @type {() => AsyncGenerator<RunEvent, void>} */
  async function* events() {
    const endWakes = environment.onWake((online) => wake(online));
    signal?.addEventListener("abort", leave);
    try {
      for (;;) {
        if (signal?.aborted) throw signal.reason;
        // What was stopped before it was sent need not be sent.
        if (left || (stopping && !sent)) throw stopped();
        sent = true;
        const lost = yield* connection();
        if (!lost) return;
        if (!left) await waitToRetry(lost);
      }
    } catch (error) {
      if (error instanceof RiverrunError) {
        if (!error.runId) Object.assign(error, { partial: cursor.partial, runId: cursor.runId, cursor: cursor.toString() });
        options.onError?.(error);
      }
      throw error;
    } finally {
      cursor.ended = true;
      endWakes();
      signal?.removeEventListener("abort", leave);
      endGrace();
    }
  }

  /** Read one connection. Returns why it was lost, or nothing after the terminal event. */
  async function* connection() {
    const wire = new AbortController();
    let reason = "";
    const drop = (/** @type {string} */ why) => {
      reason ||= why;
      wire.abort();
    };
    let askedAt = environment.now();
    wake = (online) => {
      // After a time without a network, or asleep, a line may be dead and not know it.
      if (online || environment.now() - askedAt > policy.silence) drop("The network changed.");
    };
    const items = transport(request(), { fetch: environment.fetch, signal: wire.signal, headers, now: environment.now });
    try {
      for (;;) {
        // Only the wire is timed: the caller may look at an event for as long as it likes.
        askedAt = environment.now();
        const cancel = environment.timer(() => drop("Silence."), policy.silence);
        const next = await items.next().finally(cancel);
        if (next.done) return new LostError(reason || "The stream broke off.");
        const event = receive(next.value);
        if (!event) continue;
        if (cursor.ended) wire.abort(); // nothing may keep the socket
        dispatch(event);
        yield event;
        if (cursor.ended) return null;
      }
    } catch (problem) {
      if (problem instanceof LostError) return reason ? new LostError(reason) : problem;
      if (problem instanceof RangeError) throw failed(problem.message, "too_large");
      throw problem;
    } finally {
      wake = () => {};
      wire.abort();
      void items.return().catch(() => {});
    }
  }

  /** @type {(item: import("./fetch_transport.js").WireItem) => RunEvent | null} */
  function receive(item) {
    tries.wasAnswered = true;
    if (item.retry != null) tries.firstWait = Math.min(Math.max(item.retry, 100), policy.longestWait);
    if (item.runId !== undefined) {
      cursor.runId = item.runId || cursor.runId;
      if (stopping) void stop();
      options.onOpen?.(cursor.runId);
    }
    if (item.data === undefined) return null;
    const event = cursor.accept(item);
    if (event) tries.failures = 0;
    return event;
  }

  /** @type {(event: RunEvent) => void} */
  function dispatch(event) {
    options.onEvent?.(event);
    if (!Object.hasOwn(CALLS, event.type)) return;
    const [name, field] = CALLS[event.type];
    /** @type {any} */ (options)[name]?.(/** @type {any} */ (event)[field]);
  }

  /** Wait before the next try. Throws when it was the last. @type {(lost: LostError) => Promise<void>} */
  async function waitToRetry(lost) {
    // Without a network no packet leaves, so no try was vain; `wake` ends the wait for one.
    const offline = !environment.isOnline();
    const waitMs = offline ? policy.longestWait : tries.nextWait(lost);
    if (waitMs === null) {
      if (!tries.wasAnswered && !lost.status) lost.code = "unreachable";
      throw lost;
    }
    const reason = offline ? "There is no network." : lost.message;
    options.onRetry?.({ reason, attempt: tries.failures, waitMs, paused: lost.paused });
    await wait(waitMs);
  }

  /** Wait, but not longer than until there is reason to try. @type {(ms: number) => Promise<void>} */
  function wait(ms) {
    return new Promise((resolve) => {
      wake = () => {
        cancel();
        wake = () => {};
        resolve();
      };
      const cancel = environment.timer(() => wake(true), ms);
    });
  }

  /** @type {(message: string, code: string) => RiverrunError} */
  const failed = (message, code) => new RiverrunError(message, { code });
  const stopped = () => failed("Stopped.", "cancelled");

  /** Without a run id there is nothing to stop yet: `receive` asks again once there is one. */
  async function stop() {
    if (!stopping && !cursor.ended) endGrace = environment.timer(leave, policy.grace);
    stopping = true;
    wake(false);
    if (accepted || cursor.ended || !cursor.runId) return accepted;
    const posting = { "Content-Type": "application/json", ...(await headers()) };
    const asked = { method: "POST", headers: posting, body: "{}", keepalive: true };
    const response = await environment.fetch(url("stop"), asked).catch(() => null);
    accepted ||= response?.ok === true;
    return accepted;
  }

  const reading = events();
  let taken = false;
  /** @type {Promise<ChatResponse> | undefined} */
  let result;

  function read() {
    if (taken) throw new TypeError("It is read already.");
    taken = true;
    return reading;
  }

  async function drain() {
    for await (const event of read()) if (event.type === "final") return event.result;
    throw stopped();
  }

  if (Object.keys(options).some((name) => name.startsWith("on"))) {
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

/** `crypto.randomUUID` exists only on secure origins; a page on a home network is none. */
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
