/**
 * Requests by `fetch`: the frames of an event stream, or a plain request that must succeed. It
 * checks every response (docs/clients.md has the table) and knows nothing of runs.
 */
import { LostError, RiverrunError, readError } from "./errors.js";
import { createParser } from "./sse.js";

/**
 * @typedef {import("./types.js").Request} Request
 * @typedef {import("./types.js").Tools} Tools
 * @typedef {import("./types.js").Transport} Transport
 */

/**
 * Send `request` and yield what comes. Returns at the end of the body.
 *
 * Throws `LostError` where another try may help, `RiverrunError` where none can.
 *
 * @type {Transport}
 */
export async function* fetchTransport(request, tools) {
  const response = await send(request, tools, true);
  yield { runId: response.headers.get("X-Run-Id") ?? "" };

  const parser = createParser();
  const reader = response.body?.getReader?.();
  // Where a body cannot be read in pieces (React Native), the answer comes as a whole.
  if (!reader) yield* parser.feed(await response.text().catch(throwLost));
  while (reader) {
    const { done, value } = await reader.read().catch(throwLost);
    if (done) return;
    const frames = parser.feed(value);
    yield { retry: parser.retry }; // also: a byte came, if only of a ping
    yield* frames;
  }
}

/**
 * Send `request`, once more with renewed headers after a 401. Returns an event stream where it
 * `streams`, else a response that says yes; throws what any other means.
 *
 * @type {(request: Request, tools: Tools, streams: boolean) => Promise<Response>}
 */
export async function send({ headers, ...rest }, { fetch, signal, headers: given, now }, streams) {
  const attempt = async (/** @type {boolean} */ renew) => {
    const more = await given(renew);
    // A POST that follows a redirect loses its body, or hands it to a stranger.
    return (more || !renew) && fetch(rest.url, { ...rest, headers: { ...headers, ...more }, signal, redirect: "manual" });
  };
  let response = /** @type {Response} */ (await attempt(false).catch(throwLost));
  if (response.status === 401) response = (await attempt(true).catch(throwLost)) || response;

  const { status } = response;
  const header = (/** @type {string} */ name) => response.headers.get(name) ?? "";
  const kind = header("Content-Type");
  if (streams ? status === 200 && /^text\/event-stream *(;|$)/i.test(kind) : response.ok) return response;
  if (status < 400) {
    const [code, message] =
      status === 204
        ? ["ended", "Nothing is left."]
        : status > 199 && status < 300
          ? ["not_a_stream", `No event stream: ${kind}.`]
          : // A browser hides a redirect: its status is 0 there.
            ["redirected", "The address redirects."];
    throw new RiverrunError(message, { code, status });
  }
  const body = await response.json().catch(() => null);
  const error = readError(body, `The server answered ${status}.`, `http_${status}`);
  error.status = status;
  // Seconds or a date (RFC 9110, section 10.2.3), by the server's own clock where it tells the time.
  const after = header("Retry-After");
  const wait = /^[0-9]+$/.test(after) ? +after * 1_000 : Date.parse(after) - (Date.parse(header("Date")) || now());
  if (wait >= 0) error.retryAfterMs = wait;
  // Something in front of the server failed, or the server says itself that it will pass.
  const ours = status < 502 && body?.code && !error.retryable;
  const passes = [408, 425, 429].includes(status) || (status >= 500 && !ours);
  throw passes && body?.retryable !== false ? new LostError(error.message, { ...error, retryable: true }) : error;
}

/** @type {(cause: unknown) => never} */
function throwLost(cause) {
  throw new LostError(String(cause));
}
