/**
 * One run, from the question to its last event, over as many connections as that takes. It knows
 * the wire contract and nothing of the page; the network, the clock and chance are parameters.
 *
 * A connection that ends without a terminal event (`final`, `error`) is never a success: the run
 * is resumed from the last event that arrived, and after too many vain attempts it is a
 * `StreamError`.
 */
import { EventTooLarge, createParser } from "./sse.js";

/** Vain attempts in a row before a run is given up. An attempt that brought an event is not vain. */
const ATTEMPTS = 6;
const LONGEST_WAIT = 30_000;
/** The server pings after 10 s of silence: three pings missed, and the line is dead. */
const SILENCE = 35_000;
/** A buffered host sends nothing, not even headers, until the answer is complete. */
const HEADERS = 90_000;
/** How long a stopped run may take to say its last words. */
const GRACE = 4_000;
const TERMINAL = new Set(["final", "error"]);
const PASSING = new Set([429, 502, 503, 504]);

/** Why a run cannot go on. `code` is stable; the message says what happened, `hint` what to do. */
export class StreamError extends Error {
  name = "StreamError";

  constructor(message, { code = "internal", retryable = true, retryAfterMs = null, hint = "" } = {}) {
    super(message);
    Object.assign(this, { code, retryable, retryAfterMs, hint });
  }
}

/** The connection is gone, the run is not: wait, then resume. */
class Cut extends Error {
  constructor(reason, { waitMs = null, said = null } = {}) {
    super(reason);
    this.waitMs = waitMs;
    this.said = said; // what the server gave as its reason, for when patience ends
  }
}

/**
 * Prepare a run for `query`; nothing is sent before `events()` is read.
 *
 * `events()` yields the events of the contract in order, each once, and between them
 * `{type: "open", runId}` for each connection, `{type: "cut", attempt, waitMs}` for each loss, and
 * `{type: "stopped"}` when a stopped run did not end by itself. It ends after one terminal event
 * and throws `StreamError` when there can be none.
 *
 * `stop()` stops the run on the server; leaving the page does not.
 */
export function openRun(query, options = {}) {
  const {
    sessionId = "",
    endpoint = "/api/chat",
    fetch = globalThis.fetch.bind(globalThis),
    pause = pauseUnlessOnline,
    random = Math.random,
    silence = SILENCE,
    grace = GRACE,
  } = options;
  // The same key on every attempt: a question the server already heard is joined, not asked twice.
  const key = newKey();
  const left = new AbortController();
  const mark = { id: "", seq: 0 };
  let runId = "";
  let retryMs = 1_000;
  let stopping = false;
  let waiting = false;
  let graceTimer;

  async function* events() {
    let attempt = 0;
    try {
      for (;;) {
        const before = mark.seq;
        let cut = new Cut("the connection ended before the answer did");
        try {
          for await (const event of connection()) {
            yield event;
            if (TERMINAL.has(event.type)) return;
          }
        } catch (problem) {
          if (problem instanceof EventTooLarge) throw notOurs();
          if (!(problem instanceof Cut)) throw problem;
          cut = problem;
        }
        if (mark.seq > before) attempt = 0;
        if (!left.signal.aborted) {
          if (attempt === ATTEMPTS) throw cut.said ?? gaveUp(runId !== "");
          const waitMs = cut.waitMs ?? random() * Math.min(LONGEST_WAIT, retryMs * 2 ** attempt);
          attempt += 1;
          yield { type: "cut", attempt, waitMs };
          waiting = true;
          if (stopping) left.abort();
          await pause(waitMs, left.signal);
          waiting = false;
        }
        if (left.signal.aborted) {
          yield { type: "stopped" };
          return;
        }
      }
    } finally {
      clearTimeout(graceTimer);
    }
  }

  async function* connection() {
    const wire = new AbortController();
    const drop = () => wire.abort();
    let watchdog = setTimeout(drop, HEADERS);
    left.signal.addEventListener("abort", drop);
    if (left.signal.aborted) drop();
    try {
      const response = await request(wire.signal);
      await admit(response, mark.id !== "");
      runId = response.headers.get("X-Run-Id") || runId;
      if (stopping) tellServer();
      yield { type: "open", runId };

      const parser = createParser();
      const reader = response.body.getReader();
      for (;;) {
        clearTimeout(watchdog);
        watchdog = setTimeout(drop, silence);
        const { done, value } = await reader.read().catch(lost);
        if (done) return;
        const frames = parser.feed(value);
        retryMs = parser.retry ?? retryMs;
        for (const frame of frames) {
          const event = accept(frame);
          if (event) yield event;
        }
      }
    } finally {
      clearTimeout(watchdog);
      left.signal.removeEventListener("abort", drop);
      wire.abort(); // also after a terminal event: nothing may keep the socket
    }
  }

  function request(signal) {
    // Redirects are refused: a POST followed elsewhere would lose its body, or hand it over.
    const common = { signal, redirect: "manual", cache: "no-store" };
    if (mark.id !== "") {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": mark.id };
      return fetch(endpoint, { ...common, headers }).catch(lost);
    }
    const headers = {
      Accept: "text/event-stream",
      "Content-Type": "application/json",
      "Idempotency-Key": key,
    };
    const body = JSON.stringify({ query, streaming: true, sessionId });
    return fetch(endpoint, { ...common, method: "POST", headers, body }).catch(lost);
  }

  /** The event of a frame, `null` for one seen before. A gap or nonsense ends the connection. */
  function accept(frame) {
    const event = parse(frame.data);
    const place = /^(.+)-([0-9]+)$/.exec(frame.id ?? "");
    if (place) {
      const [id, run, seq] = [frame.id, place[1], Number(place[2])];
      if (mark.seq > 0 && run !== runId) throw new Cut("an event of another run");
      if (seq <= mark.seq) return null;
      if (seq > mark.seq + 1) throw new Cut("events are missing");
      runId = run;
      Object.assign(mark, { id, seq });
    }
    return event;
  }

  async function stop() {
    if (stopping) return;
    stopping = true;
    graceTimer = setTimeout(() => left.abort(), grace);
    await tellServer();
    if (waiting) left.abort();
  }

  /** Without a run id there is nothing to stop yet: `connection` asks again once it has one. */
  async function tellServer() {
    if (runId === "") return;
    const url = `${endpoint}/runs/${encodeURIComponent(runId)}/stop`;
    const headers = { "Content-Type": "application/json" };
    // A request that fails changes nothing here: the grace period ends the wait either way.
    await fetch(url, { method: "POST", headers, body: "{}", keepalive: true }).catch(() => {});
  }

  return { events, stop };
}

function lost(cause) {
  throw new Cut(String(cause));
}

function parse(data) {
  let event;
  try {
    event = JSON.parse(data);
  } catch {
    throw new Cut("an event is not JSON");
  }
  if (typeof event?.type !== "string") throw new Cut("an event has no type");
  return event;
}

/** Let an event stream pass; turn every other response into the error it means. */
async function admit(response, resuming) {
  const kind = (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
  if (response.status === 200 && kind === "text/event-stream" && response.body) return;
  if (response.status === 204) throw gaveUp(true);
  if (response.status < 400) throw notOurs(); // HTML, a redirect: somebody else is answering
  const said = await readProblem(response);
  const passing = PASSING.has(response.status) || (resuming && response.status >= 500);
  const waitMs = said.retryAfterMs;
  if (passing && said.retryable && (waitMs ?? 0) <= LONGEST_WAIT) {
    throw new Cut(said.message, { waitMs, said });
  }
  throw said;
}

async function readProblem(response) {
  const body = (await response.json().catch(() => null)) ?? {};
  const details = Array.isArray(body.details) ? body.details : [];
  const reasons = details.map((detail) => detail?.message).filter((text) => typeof text === "string");
  const after = typeof body.retryAfterMs === "number" ? body.retryAfterMs : retryAfter(response);
  return new StreamError(
    typeof body.error === "string" && body.error !== ""
      ? body.error
      : `The server answered with status ${response.status}.`,
    {
      code: typeof body.code === "string" ? body.code : `http_${response.status}`,
      retryable: typeof body.retryable === "boolean" ? body.retryable : response.status >= 429,
      retryAfterMs: after,
      hint: typeof body.hint === "string" ? body.hint : reasons.join(" "),
    },
  );
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
function retryAfter(response) {
  const value = (response.headers.get("Retry-After") ?? "").trim();
  if (value === "") return null;
  if (/^[0-9]+$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

function gaveUp(started) {
  return new StreamError(
    started
      ? "The connection was lost before the answer was complete."
      : "The server cannot be reached.",
    { code: "interrupted", hint: "Check the connection, then ask again." },
  );
}

function notOurs() {
  return new StreamError("The server answered with something other than an event stream.", {
    code: "bad_response",
    hint: "Check that this page and the function are served from the same address.",
  });
}

/** `crypto.randomUUID` exists only on secure origins; a page on a home network is none. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Wait, but not longer than until the machine is online again or the run was left. */
function pauseUnlessOnline(ms, signal) {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", go);
      signal.removeEventListener("abort", go);
      resolve();
    };
    const timer = setTimeout(go, ms);
    globalThis.addEventListener?.("online", go);
    signal.addEventListener("abort", go);
    if (signal.aborted) go();
  });
}
