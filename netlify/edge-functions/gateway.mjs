/**
 * The way from Netlify to the Python functions: a request goes on, signed, and the body of the
 * answer is handed over as it comes. Nothing is buffered, transformed or asked twice.
 *
 * It knows which headers may pass, how large a question may be and how long the platform waits for
 * the first byte; it knows nothing of runs, events or dialects. netlify.toml says which paths come
 * here, docs/netlify.md how to set it up.
 */
import { failure, meaningOf } from "../gateway/errors.mjs";
import { createRate, visitorOf } from "../gateway/rate.mjs";
import { signature, spelled } from "../gateway/sigv4.mjs";
import { NotConfigured, readUpstream } from "../gateway/upstream.mjs";

const BODY_LIMIT = 64 * 1024;
/** Netlify gives up on a function whose headers have not come within 40 s. */
const HEAD_LIMIT = 37_000;

/** What a visitor may say to the functions; the rest is Netlify's, or not passed on. */
const PASSED = [
  "accept",
  "accept-language",
  "access-control-request-headers",
  "access-control-request-method",
  "authorization",
  "content-encoding",
  "content-type",
  "idempotency-key",
  "last-event-id",
  "origin",
  // Why a browser asks: for a part of a page, or ahead, starts no run.
  "purpose",
  "sec-fetch-dest",
  "sec-fetch-site",
  "sec-purpose",
  "traceparent",
  "tracestate",
  "user-agent",
  "x-moz",
  "x-request-id",
  "x-requested-with",
];
/** One hop's own words (RFC 9110, section 7.6.1), and what fetch made untrue by decoding. */
const NOT_RETURNED =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-(?:length|encoding)|date|server|via|x-amzn?-.*|lambda-web-.*)$/;

/** A signature takes the header `Authorization`; a visitor's own travels under this name then. */
const MOVED_AUTHORIZATION = "x-riverrun-authorization";

/** The visitor's address, as Netlify saw it. The functions believe it of a gateway that they know. */
const VISITOR = "x-riverrun-visitor";
/** Methods that can start a run, and so cost something. */
const ASKING = new Set(["GET", "POST"]);

/**
 * `netlify dev` repeats what was answered with 403 or 404 under these names, body included, and
 * gives its client the last answer. No function has such a path, so nothing is run again.
 */
const REPLAYED = /\.html?$/;

/**
 * A gateway: a function from a request to a promise of its response.
 *
 * `get` reads an environment variable, `now` the clock; `headLimit` is in milliseconds.
 */
export function createGateway({
  get = (name) => globalThis.Netlify.env.get(name),
  now = () => new Date(),
  headLimit = HEAD_LIMIT,
} = {}) {
  let rate;
  return async function gateway(request, context) {
    const here = new URL(request.url);
    if (REPLAYED.test(here.pathname)) return failure("missing");
    try {
      const upstream = readUpstream(get);
      rate ??= createRate(upstream.perMinute);
      const visitor = visitorOf(context?.ip);
      const wait = ASKING.has(request.method) && visitor ? rate(visitor, now().getTime()) : 0;
      if (wait > 0) return failure("tooOften", wait);
      const body = await bodyOf(request);
      if (body === null) return failure("tooLarge");
      const asked = await prepareRequest(request, here, body, visitor, upstream, now());
      return await carry(asked, request.signal, upstream, headLimit);
    } catch (problem) {
      if (!(problem instanceof NotConfigured)) throw problem;
      console.error(`gateway: ${problem.message}`);
      return failure("notConfigured");
    }
  };
}

export default createGateway();

/** The whole body, since its hash is signed; undefined without one, null when it is too large. */
async function bodyOf(request) {
  if (request.body === null) return undefined;
  const declared = Number(request.headers.get("content-length") ?? 0);
  const body = new Uint8Array(BODY_LIMIT);
  let size = 0;
  if (!(declared > BODY_LIMIT)) {
    for await (const piece of request.body) {
      if (size + piece.length > BODY_LIMIT) return null; // leaving the loop cancels the rest
      body.set(piece, size);
      size += piece.length;
    }
    return body.subarray(0, size);
  }
  await request.body.cancel();
  return null;
}

/** The request that goes out: `{url, method, headers, body}`. */
async function prepareRequest(request, here, body, visitor, { base, credentials, secret }, now) {
  const path = here.pathname.replace(/^\/\.netlify\/functions\//, "/api/");
  const query = credentials ? spelled(here.search.slice(1)) : here.search.slice(1);
  const url = new URL(base);
  url.pathname = base.pathname.replace(/\/$/, "") + path;
  url.search = query;

  const headers = new Headers();
  for (const name of PASSED) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  // The functions compare a page's origin with the host that it was loaded from.
  headers.set("x-forwarded-host", here.host);
  // fetch would offer compression by itself, and a compressed stream is a buffered one.
  headers.set("accept-encoding", "identity");
  if (visitor) headers.set(VISITOR, visitor);
  if (secret) headers.set("x-riverrun-gateway", secret);
  if (credentials) {
    const own = headers.get("authorization");
    if (own !== null) headers.set(MOVED_AUTHORIZATION, own);
    const signed = { method: request.method, url, body: body ?? new Uint8Array() };
    for (const [name, value] of Object.entries(await signature(signed, credentials, now))) {
      headers.set(name, value);
    }
  }
  return { url, method: request.method, headers, body };
}

/** Asks once, and gives up when the visitor leaves or the platform would. */
async function carry({ url, ...asked }, visitor, { credentials }, headLimit) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort("late"), headLimit);
  const leave = () => patience.abort("left");
  visitor.addEventListener("abort", leave);
  try {
    const upstream = await fetch(url, { ...asked, redirect: "manual", signal: patience.signal });
    if (upstream.status < 300) return handOn(upstream, upstream.body);
    const [meaning, content] = await meaningOf(upstream, credentials !== null);
    if (meaning === null) return handOn(upstream, content);
    console.error(`gateway: ${asked.method} ${url.pathname} was answered ${upstream.status} (${meaning}).`);
    return failure(meaning);
  } catch (problem) {
    if (patience.signal.reason === "late") return failure("late");
    if (!patience.signal.aborted) console.error(`gateway: ${url.host} cannot be reached: ${problem.message}`);
    return failure("unreachable");
  } finally {
    clearTimeout(timer);
    // From here on it is the body that tells: cancelling it cancels the upstream's. Deno
    // aborts a request's signal also when all went well.
    visitor.removeEventListener("abort", leave);
  }
}

/** The functions' own answer, less what belonged to the connection it came by. */
function handOn({ status, headers }, body) {
  const kept = new Headers();
  for (const [name, value] of headers) if (!NOT_RETURNED.test(name)) kept.append(name, value);
  kept.set("x-content-type-options", "nosniff");
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers: kept });
}
