/**
 * What the gateway says itself: the error object of docs/contract.md, and nothing of what went on
 * behind it. Also tells the functions' own answers from what the platform in front of them says.
 */

/** Everything the gateway may have to say, by what happened. Statuses are those of docs/errors.md. */
const FAILURES = {
  unreadable: [400, "invalid_request", "The request could not be read."],
  missing: [404, "not_found", "There is nothing here."],
  tooLarge: [413, "payload_too_large", "The body is over 65536 bytes."],
  tooLong: [414, "uri_too_long", "The URL is too long.", { hint: "Use POST." }],
  tooOften: [429, "rate_limited", "You are asking too often.", { hint: "Wait a moment, and ask again." }],
  busy: [429, "rate_limited", "Too many are asking at the moment.", { retryAfterMs: 1000 }],
  notConfigured: [502, "internal", "The gateway is not set up.", { hint: "Its log says why." }],
  refused: [502, "internal", "The gateway is not let in.", { hint: "Its log says why." }],
  broken: [502, "internal", "The service could not answer.", { retryAfterMs: 1000 }],
  unreachable: [503, "overloaded", "The service cannot be reached.", { retryAfterMs: 2000 }],
  overloaded: [503, "overloaded", "The service is overloaded.", { retryAfterMs: 2000 }],
  late: [
    504,
    "deadline",
    "The service did not begin to answer in time.",
    { hint: "A stream begins at once: ask with streaming: true.", retryAfterMs: 1000 },
  ],
};

/** The response for a failure of `FAILURES`; `wait` is when it is worth asking again, in milliseconds. */
export function failure(what, wait) {
  const [status, code, error, { hint, retryAfterMs = wait } = {}] = FAILURES[what];
  const said = { type: "error", error, code, retryable: retryAfterMs !== undefined, retryAfterMs, hint };
  const headers = { "content-type": "application/json", "cache-control": "no-store", vary: "Accept, Origin" };
  if (retryAfterMs !== undefined) headers["retry-after"] = String(Math.ceil(retryAfterMs / 1000));
  return new Response(JSON.stringify(said), { status, headers });
}

/** What the platform's statuses mean to a visitor. Any other refusal is the gateway's affair. */
const MEANINGS = {
  400: "unreadable",
  413: "tooLarge",
  414: "tooLong",
  429: "busy",
  500: "broken",
  502: "broken",
  503: "overloaded",
  504: "late",
};
/** The members of what Lambda and API Gateway say in JSON. */
const THEIRS = new Set(["message", "Message", "Reason", "Type", "__type"]);

/**
 * What an answer from 300 up is, as `[failure or null, bytes]`: null for an answer that a function
 * gave, whose bytes are handed on; a name of `FAILURES` for one that the platform gave instead.
 *
 * `signed` says that the request was.
 */
export async function meaningOf(upstream, signed) {
  if (upstream.status < 400) return [upstream.status === 304 ? null : "broken", null];
  const type = (upstream.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  // The platform's words are JSON or a bare line; whatever else there is, a function said.
  if (!["", "application/json", "text/plain"].includes(type)) return [null, upstream.body];
  const content = await upstream.arrayBuffer();
  if (challenged(upstream.headers)) return ["refused", content];
  const word = platformWord(content, upstream.headers);
  if (word === null) return [null, content];
  // API Gateway says this for a path it does not know; to the unsigned it says so for every path.
  if (word === "Missing Authentication Token" && signed) return ["missing", content];
  return [MEANINGS[upstream.status] ?? (upstream.status < 500 ? "refused" : "broken"), content];
}

/** Whether the functions themselves refused the gateway; API Gateway renames the header. */
function challenged(headers) {
  const names = ["www-authenticate", "x-amzn-remapped-www-authenticate"];
  return names.some((name) => /^Gateway\b/i.test(headers.get(name) ?? ""));
}

/** The message of an answer that Lambda or API Gateway made, or null when a function did. */
function platformWord(content, headers) {
  const text = new TextDecoder().decode(content);
  const named = headers.has("x-amzn-errortype") || headers.has("lambda-web-error-type");
  if (text === "") return named ? "" : null; // HEAD, where only a header can tell
  const said = parsed(text);
  // "Internal Server Error", for one: our functions say objects.
  if (said === null) return text;
  const isTheirs = named || Object.keys(said).every((key) => THEIRS.has(key));
  return isTheirs ? String(said.message ?? said.Message ?? "") : null;
}

function parsed(text) {
  try {
    const said = JSON.parse(text);
    return typeof said === "object" ? said : null;
  } catch {
    return null;
  }
}
