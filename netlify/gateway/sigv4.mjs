/**
 * AWS Signature Version 4 for one request, with Web Crypto alone. It knows nothing of gateways,
 * environments or fetch; tests hold every signature against botocore's.
 *
 * Of S3 it knows nothing either: there, paths are spelled and bodies hashed by other rules.
 */
const ALGORITHM = "AWS4-HMAC-SHA256";
const UNRESERVED = /[A-Za-z0-9._~-]/;

const bytes = new TextEncoder();

/**
 * The headers that make `request` a signed one: `authorization`, `x-amz-date` and, with a session,
 * `x-amz-security-token`. Signed are the method, the URL, the body, the host and these; every other
 * header may be changed on its way, and some are.
 *
 * `request` is `{method, url, body}` with a `URL` whose query is spelled by `spelled`, and bytes;
 * `credentials` is `{keyId, secretKey, sessionToken, region, service}`; `now` is a `Date`.
 */
export async function signature({ method, url, body }, credentials, now) {
  const { keyId, secretKey, sessionToken, region, service } = credentials;
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = [time.slice(0, 8), region, service, "aws4_request"];

  const added = { "x-amz-date": time };
  if (sessionToken) added["x-amz-security-token"] = sessionToken;
  const signed = { host: url.host, ...added };
  const names = Object.keys(signed).sort();

  const canonical = [
    method,
    canonicalPath(url.pathname),
    url.search.slice(1).split("&").sort(byNameThenValue).join("&"),
    ...names.map((name) => `${name}:${signed[name]}`),
    "",
    names.join(";"),
    hex(await crypto.subtle.digest("SHA-256", body)),
  ].join("\n");
  const digest = hex(await crypto.subtle.digest("SHA-256", bytes.encode(canonical)));

  let key = bytes.encode(`AWS4${secretKey}`);
  for (const part of scope) key = await hmac(key, part);
  const proof = hex(await hmac(key, [ALGORITHM, time, scope.join("/"), digest].join("\n")));

  const stated = `Credential=${[keyId, ...scope].join("/")}, SignedHeaders=${names.join(";")}`;
  return { ...added, authorization: `${ALGORITHM} ${stated}, Signature=${proof}` };
}

/**
 * A query as AWS spells it before it compares signatures: the same parameters in the same order,
 * each byte but the unreserved ones as %XX (RFC 3986, section 2.3). A `+` is the space that forms
 * mean by it, since AWS and its clients do not agree about that character.
 */
export function spelled(query) {
  const pairs = query.split("&").filter((pair) => pair !== "");
  return pairs
    .map((pair) => {
      const [name, ...value] = pair.split("=");
      return `${spelledPart(name)}=${spelledPart(value.join("="))}`;
    })
    .join("&");
}

function spelledPart(text) {
  return text.replaceAll("+", "%20").replace(/%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~-]/gu, (found) => {
    if (found.length !== 3 || found[0] !== "%") return escaped(found);
    const character = String.fromCharCode(Number.parseInt(found.slice(1), 16));
    return UNRESERVED.test(character) ? character : found.toUpperCase();
  });
}

/** The path without empty segments, escaped once more: what every service but S3 expects. */
function canonicalPath(path) {
  const segments = path.split("/").filter((segment) => segment !== "");
  const end = path.endsWith("/") && segments.length > 0 ? "/" : "";
  return `/${segments.map(escaped).join("/")}${end}`;
}

function escaped(text) {
  const left = /[!'()*]/g; // what encodeURIComponent leaves as it is, and RFC 3986 reserves
  return encodeURIComponent(text).replace(left, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

function byNameThenValue(one, other) {
  const [[name, value], [otherName, otherValue]] = [one.split("="), other.split("=")];
  if (name !== otherName) return name < otherName ? -1 : 1;
  return value === otherValue ? 0 : value < otherValue ? -1 : 1;
}

async function hmac(key, text) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, bytes.encode(text)));
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
