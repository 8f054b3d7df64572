/**
 * The same frames by the browser's own `EventSource`: `stream(query, { transport: eventSourceTransport })`.
 *
 * It is for hosts whose `fetch` cannot stream. It can send no header, so there is no key against
 * asking twice: a question that got no event is not asked again. It tells neither status nor
 * heartbeat: any refusal is `unreachable`, and silence is cut after `retryPolicy.silence`.
 */
import { LostError, RiverrunError } from "./errors.js";

/** @typedef {import("./types.js").WireItem} WireItem */

/** The keys of the questions that were asked. @type {Set<string>} */
const keys = new Set();

/** @type {import("./types.js").Transport} */
export async function* eventSourceTransport({ url, body, headers }, { signal }) {
  /** @type {WireItem[]} */
  const received = [];
  let news = () => {};
  let failure = /** @type {Error | null} */ (null);
  let opened = false;
  let last = "";
  const key = headers["Idempotency-Key"];
  // It cannot send the key, so the same question again would be another run, and another bill.
  if (key && keys.has(key)) throw new RiverrunError("The connection was lost before the first event.", { code: "interrupted", retryable: true });
  if (key) keys.add(key);
  const source = new EventSource(body ? toUrl(url, body) : url);
  const end = (/** @type {Error} */ why) => {
    failure ??= why;
    source.close(); // it would come back by itself, and ask the question again
    news();
  };
  source.onopen = () => {
    opened = true;
    received.push({ runId: "" });
    news();
  };
  source.onmessage = ({ data, lastEventId }) => {
    received.push({ data, id: lastEventId === last && isLoose(data) ? null : lastEventId });
    last = lastEventId;
    news();
  };
  source.onerror = () => {
    if (opened || !body) end(new LostError("The connection failed."));
    else end(new RiverrunError("The server cannot be reached, or refuses.", { code: "unreachable", retryable: true }));
  };
  const abort = () => end(new LostError("Left."));
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  let any = false;
  try {
    for (;;) {
      while (received.length > 0) {
        const next = /** @type {WireItem} */ (received.shift());
        any ||= next.data !== undefined;
        yield next;
      }
      if (failure && body && !any && failure instanceof LostError && !signal.aborted) {
        throw new RiverrunError("The connection was lost before the first event.", { code: "interrupted", retryable: true });
      }
      if (failure) throw failure;
      await new Promise((resolve) => {
        news = () => resolve(null);
      });
    }
  } finally {
    signal.removeEventListener("abort", abort);
    source.close();
  }
}

/**
 * Whether the data is of an event that may have no id: the browser gives it that of the event
 * before.
 *
 * @type {(data: string) => boolean}
 */
function isLoose(data) {
  try {
    return ["paused", "error"].includes(JSON.parse(data).type);
  } catch {
    return false;
  }
}

/** @type {(url: string, body: string) => string} */
function toUrl(endpoint, body) {
  const url = endpoint.replace(/#.*/, "");
  const { metadata, ...rest } = JSON.parse(body);
  const given = Object.entries({ ...rest, resume: 1, metadata: metadata && JSON.stringify(metadata) });
  const parameters = given.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]);
  return `${url}${url.includes("?") ? "&" : "?"}${new URLSearchParams(parameters)}`;
}
