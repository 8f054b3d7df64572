/**
 * One question and what became of it, as plain data: events in, the next state out. It knows
 * neither the network nor the page, and it trusts no field of an event to have the right type.
 */

const SETTLED = new Set(["completed", "failed"]);
const STEP_STATES = new Set(["pending", "executing", "completed", "failed"]);

/** Phases in which nothing more will come. */
export const ENDED = new Set(["done", "stopped", "failed"]);

/** More ticks than a picture can show. */
const TICKS = 600;

/**
 * A question that was just asked, at `now` milliseconds. `id` is its name in every tab, and the
 * key under which it is asked.
 */
export function beginTurn(question, now, id = "") {
  return {
    id,
    question,
    asks: "", // the session that it was asked in
    cursor: "", // the last event that is in here, `<run>-<seq>`
    events: 0,
    timeline: [], // {at, type}: what came when, in milliseconds since it was asked
    phase: "asking", // then "answering", then one of ENDED
    link: "opening", // "open" while connected, "cut" from a break until its answer goes on
    stopping: false,
    steps: [],
    progress: 0, // from 0 to 1, by what the server said
    eta: null, // {at, ms}: how long the server thought it would take, and when
    estimates: [], // {at, left}: what the page showed (progress.js)
    answer: "",
    sources: [],
    notices: [],
    followUps: [],
    rating: "", // "up" or "down"
    plugged: false, // its function was killed from this page
    versions: [], // the answers before this one, where it was asked again
    isForgotten: false, // the server did not have the session any more
    usage: null,
    problem: null,
    finishReason: null,
    truncated: false,
    sessionId: null,
    askedAt: now,
    firstTokenAt: null,
    endedAt: null,
  };
}

/**
 * The turn after one event of its run, or `{type: "open"}` and `{type: "cut"}` for a connection
 * that began or was lost, `{type: "stopping"}` for a stop that was asked for. Unknown
 * events change nothing.
 */
export function applyEvent(turn, event, now) {
  const take = TAKE[event.type];
  if (ENDED.has(turn.phase) || !Object.hasOwn(TAKE, event.type)) return turn;
  // What a new connection brings ends the break, not the connection: it may be a while until then.
  const whole = turn.link === "cut" && !LINK.has(event.type) ? { ...turn, link: "open" } : turn;
  return note(take(whole, event, now), event.type, now);
}

/** The turn with one more tick on its timeline. */
function note(turn, type, now) {
  const { timeline, askedAt } = turn;
  const events = turn.events + (LINK.has(type) ? 0 : 1);
  if (type === "open" || type === "stopping" || timeline.length >= TICKS) return { ...turn, events };
  return { ...turn, events, timeline: [...timeline, { at: now - askedAt, type }] };
}

const VERSIONS = 4; // earlier answers to one question that are kept

/** The answers to a question that is asked again, without what no one looks at any more. */
export function keepVersions({ versions = [], ...turn }) {
  const earlier = { ...turn, isEarlier: true, timeline: [], estimates: [] };
  return [...versions, ...(turn.answer === "" ? [] : [earlier])].slice(-VERSIONS);
}

/** A turn that failed for want of a connection, or was left, ready to be read on. */
export function reviveTurn(turn) {
  const phase = turn.answer === "" ? "asking" : "answering";
  return { ...turn, phase, link: "opening", stopping: false, problem: null, endedAt: null };
}

/** Whether a failed turn can be read on where it broke off. */
export const canReadOn = ({ phase, problem }) =>
  phase === "failed" && ["interrupted", "not_stopped", "unreachable"].includes(problem?.code);

/** The turn after a failure that is no event: the server refused, or cannot be reached. */
export function failTurn(turn, problem, now) {
  const { message, code, retryable, retryAfterMs, hint, partial } = problem;
  return applyEvent(turn, { type: "error", error: message, code, retryable, retryAfterMs, hint, partial }, now);
}

/** The id of the run, once it is known. */
export const runOf = ({ cursor }) => cursor.replace(/-[0-9]+$/, "");

const LINK = new Set(["open", "cut", "stopping"]);

const TAKE = {
  open: (turn) => (turn.link === "cut" && turn.events > 0 ? turn : { ...turn, link: "open" }),
  cut: (turn) => ({ ...turn, link: "cut" }),
  stopping: (turn) => ({ ...turn, stopping: true }),

  status(turn, event, now) {
    const steps = placeStep(turn.steps, event.status, now);
    const ms = number(object(event.status).etaMs);
    const eta = ms === null ? turn.eta : { at: now, ms };
    return { ...turn, steps, eta, progress: progressOf(turn, steps, event.status) };
  },

  token(turn, event, now) {
    const answer = turn.answer + string(event.text);
    const firstTokenAt = turn.firstTokenAt ?? (answer === "" ? null : now);
    return { ...turn, phase: "answering", answer, firstTokenAt };
  },

  sources: (turn, event) => ({ ...turn, sources: readSources(event.sources) }),
  usage: (turn, event) => ({ ...turn, usage: readUsage(event.usage) ?? turn.usage }),
  reset: (turn) => ({ ...turn, answer: "" }),

  notice(turn, event) {
    if (event.code === "session_unknown") return { ...turn, isForgotten: true };
    const message = string(event.message);
    return message === "" ? turn : { ...turn, notices: [...turn.notices, message] };
  },

  final(turn, event, now) {
    const result = object(event.result);
    const cancelled = result.finishReason === "cancelled";
    const ended = settle(turn, cancelled ? "stopped" : "done", now);
    const sessionId = string(result.sessionId) || null;
    return {
      ...ended,
      followUps: list(result.followUps).filter((text) => string(text) !== "").slice(0, 4),
      // The server answers under another session where it no longer has the one that was asked.
      isForgotten: turn.isForgotten || Boolean(turn.asks && sessionId && turn.asks !== sessionId),
      answer: typeof result.answer === "string" ? result.answer : turn.answer,
      firstTokenAt: turn.firstTokenAt ?? now,
      sources: lastSources(turn.sources, result.sources),
      usage: readUsage(result.usage) ?? turn.usage,
      finishReason: string(result.finishReason) || "stop",
      truncated: result.truncated === true,
      sessionId,
    };
  },

  error(turn, event, now) {
    const partial = object(event.partial);
    // Tokens already shown stay unless the server knows the same text or more of it.
    const answer = string(partial.answer).length >= turn.answer.length ? string(partial.answer) : turn.answer;
    const kept = {
      ...turn,
      answer,
      sources: turn.sources.length > 0 ? turn.sources : readSources(partial.sources),
    };
    if (event.code === "cancelled") return settle(kept, "stopped", now);
    const problem = {
      message: string(event.error),
      code: string(event.code) || "internal",
      retryable: event.retryable !== false,
      retryAfterMs: number(event.retryAfterMs),
      hint: string(event.hint),
    };
    return { ...settle(kept, "failed", now), problem };
  },
};

function settle(turn, phase, now) {
  const after = { done: "completed", failed: "failed", stopped: "stopped" }[phase];
  const steps = turn.steps.map((step) =>
    step.state === "executing" ? { ...step, state: after, ms: now - step.seenAt } : step,
  );
  const progress = phase === "done" ? 1 : turn.progress;
  return { ...turn, phase, link: "open", stopping: false, steps, progress, eta: null, endedAt: now };
}

function placeStep(steps, status, now) {
  const { step, description, status: state, timestamp, elapsedMs } = object(status);
  if (!Number.isInteger(step) || step < 1 || !STEP_STATES.has(state)) return steps;
  const known = steps.find((one) => one.number === step);
  const since = known?.since ?? number(timestamp);
  // Both ends by the server's clock where it told them: the network adds nothing to a step.
  const lasted = known && since !== null && number(timestamp) !== null ? timestamp - since : null;
  const next = {
    number: step,
    description: string(description) || known?.description || "",
    state,
    since,
    seenAt: known?.seenAt ?? now,
    ms: SETTLED.has(state) ? Math.max(0, lasted ?? number(elapsedMs) ?? 0) : null,
  };
  return [...steps.filter((one) => one.number !== step), next].sort((a, b) => a.number - b.number);
}

function progressOf(turn, steps, status) {
  const { progress, totalSteps } = object(status);
  const settled = steps.filter((step) => SETTLED.has(step.state)).length;
  const guess = settled / Math.max(number(totalSteps) ?? 0, steps.length + 1);
  // Water does not flow back, even when a step is tried again.
  return Math.max(turn.progress, Math.min(1, Math.max(0, number(progress) ?? guess)));
}

function readSources(given) {
  return list(given).map(object).map((source) => ({
    id: string(source.id),
    title: string(source.title) || string(source.uri) || string(source.id),
    uri: string(source.uri),
    href: string(source.href),
    score: number(source.score),
    snippet: string(source.snippet),
    text: string(source.text),
    quotes: list(source.quotes).map(readQuote).filter(Boolean),
    cited: typeof source.cited === "boolean" ? source.cited : null,
  }));
}

/** Where in the text of a passage a quoted sentence stands: `[start, end]` in characters. */
function readQuote(quote) {
  const [start, end] = list(quote);
  return Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end > start ? [start, end] : null;
}

/** The final event repeats the sources; a large one has lost its passages on the way. */
function lastSources(shown, given) {
  if (list(given).length === 0) return shown;
  return readSources(given).map((source, at) => {
    const before = shown[at];
    if (before?.title !== source.title) return source;
    const { snippet, text, quotes } = source;
    return { ...source, snippet: snippet || before.snippet, text: text || before.text, quotes: quotes.length > 0 ? quotes : before.quotes };
  });
}

function readUsage(usage) {
  const { inputTokens, outputTokens } = object(usage);
  if (number(inputTokens) === null || number(outputTokens) === null) return null;
  return { inputTokens, outputTokens };
}

const list = (value) => (Array.isArray(value) ? value : []);
const string = (value) => (typeof value === "string" ? value : "");
const number = (value) => (Number.isFinite(value) ? value : null);
const object = (value) => (value !== null && typeof value === "object" ? value : {});
