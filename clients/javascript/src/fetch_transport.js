/**
 * One connection by `fetch`: a request out, the frames of its event stream in. It judges every
 * answer that is no event stream (docs/clients.md has the table) and knows nothing of runs.
 */
import { LostError, RiverrunError, readError } from "./errors.js";
import { createParser } from "./sse.js";

/**
 * What a connection hears: the run's id from the head, a reconnection time, or a frame.
 *
 * `sticky`: the id may be that of an earlier frame, as the browser's own EventSource tells it.
 *
 * @typedef {{runId?: string, retry?: number | null, data?: string, id?: string | null, sticky?: boolean}} WireItem
 *
 * @typedef {{url: string, method: string, headers: Record<string, string>, body?: string}} Request
 *
 * @typedef {{
 *   fetch: typeof globalThis.fetch, signal: AbortSignal,
 *   headers: (renew: boolean) => Promise<Record<string, string>>, now: () => number,
 * }} Tools
 *
 * @typedef {(request: Request, tools: Tools) => AsyncGenerator<WireItem, void>} Transport
 */

/**
 * Send `request` and yield what comes. Returns at the end of the body.
 *
 * Throws `LostError` where another try may help, `RiverrunError` where none can.
 *
 * @type {Transport}
 */
export async function* fetchTransport(request, tools) {
  let response = await send(request, tools, false);
  if (response.status === 401) {
    void response.body?.cancel();
    response = await send(request, tools, true);
  }
  await admit(response, tools);
  yield { runId: response.headers.get("X-Run-Id") ?? "" };

  const parser = createParser();
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(lost);
    if (done) return;
    const frames = parser.feed(value);
    yield { retry: parser.retry }; // also: something was heard, if only a ping
    yield* frames;
  }
}

/** @type {(request: Request, tools: Tools, renew: boolean) => Promise<Response>} */
async function send({ url, ...rest }, { fetch, signal, headers }, renew) {
  const all = { ...rest.headers, ...(await headers(renew)) };
  // A POST that follows a redirect loses its body, or hands it to a stranger.
  return fetch(url, { ...rest, headers: all, signal, redirect: "manual", cache: "no-store" }).catch(lost);
}

/** @type {(cause: unknown) => never} */
function lost(cause) {
  throw new LostError(String(cause));
}

/** @type {(response: Response, tools: Tools) => Promise<void>} */
async function admit(response, { now }) {
  const { status } = response;
  const kind = response.headers.get("Content-Type") ?? "";
  if (status === 200 && /^text\/event-stream *(;|$)/i.test(kind) && response.body) return;
  if (status < 400) {
    const [code, message] =
      status === 204
        ? ["ended", "There is nothing left to read."]
        : status < 300
          ? ["not_a_stream", `This is no event stream, but ${kind}.`]
          : ["redirected", "The address redirects: use the new one."];
    throw new RiverrunError(message, { code, status });
  }
  throw judge(response, await response.json().catch(() => null), now());
}

/** @type {(response: Response, body: any, now: number) => RiverrunError} */
function judge({ status, headers }, body, now) {
  const error = readError(body, `The server answered ${status}.`, `http_${status}`);
  error.status = status;
  error.retryAfterMs = retryAfter(headers, now) ?? error.retryAfterMs;
  // Something in front of the server failed, or the server says itself that it will pass.
  const ours = status < 502 && body?.code && !error.retryable;
  const passes = [408, 425, 429].includes(status) || (status >= 500 && !ours);
  if (!passes || body?.retryable === false) return error;
  return Object.assign(new LostError(error.message), error, { retryable: true });
}

/**
 * `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3), the date by the
 * server's own clock where it tells the time.
 *
 * @type {(headers: Headers, now: number) => number | null}
 */
function retryAfter(headers, now) {
  const value = headers.get("Retry-After") ?? "";
  if (/^[0-9]+$/.test(value)) return Number(value) * 1_000;
  const wait = Date.parse(value) - (Date.parse(headers.get("Date") ?? "") || now);
  return wait >= 0 ? wait : null;
}
