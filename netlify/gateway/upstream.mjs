/**
 * Where the functions are and how the gateway proves itself there, read from the environment.
 * docs/netlify.md has the table of variables; none begins with AWS_, which Netlify keeps for itself.
 */
const HOSTS = [
  [/\.lambda-url\.([a-z0-9-]+)\.on\.aws$/, "lambda"],
  // Not documented: `lambda` is what else signs there. RIVERRUN_UPSTREAM_SERVICE says otherwise.
  [/\.lambda-web\.([a-z0-9-]+)\.on\.aws$/, "lambda"],
  [/\.execute-api\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$/, "execute-api"],
];
const MANY_REGIONS = /\.lambda-web\.global\.on\.aws$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/** The environment does not say what the gateway needs; the message says what is missing. */
export class NotConfigured extends Error {
  name = "NotConfigured";
}

/** Requests of one address in a minute that pass, where the environment says nothing. */
const PER_MINUTE = 120;

/**
 * `{base, credentials, secret, perMinute}`: the address that paths are put behind, the keys to sign
 * with or null, the shared secret or "", and how often one address may ask. `get` gives a
 * variable's value or undefined.
 *
 * Throws `NotConfigured`.
 */
export function readUpstream(get) {
  const read = (name) => (get(`RIVERRUN_${name}`) ?? "").trim();
  const base = addressOf(read("UPSTREAM"));
  const secret = secretOf(get, read);
  return { base, credentials: credentialsOf(read, base), secret, perMinute: perMinuteOf(read) };
}

/** Set and empty is a slip: without the secret every request would be refused, and nothing say why. */
function secretOf(get, read) {
  const secret = read("GATEWAY_SECRET");
  if (secret === "" && get("RIVERRUN_GATEWAY_SECRET") !== undefined) {
    throw new NotConfigured("RIVERRUN_GATEWAY_SECRET is set and holds nothing.");
  }
  if (/[^\x21-\x7e]/.test(secret)) {
    throw new NotConfigured("RIVERRUN_GATEWAY_SECRET must be printable ASCII without blanks.");
  }
  return secret;
}

function perMinuteOf(read) {
  const text = read("GATEWAY_PER_MINUTE");
  if (!/^\d{0,6}$/.test(text)) {
    throw new NotConfigured("RIVERRUN_GATEWAY_PER_MINUTE must be a whole number; 0 is no limit.");
  }
  return text === "" ? PER_MINUTE : Number(text);
}

function addressOf(text) {
  if (text === "") throw new NotConfigured("RIVERRUN_UPSTREAM is not set.");
  if (!URL.canParse(text)) throw new NotConfigured("RIVERRUN_UPSTREAM is not a URL.");
  const base = new URL(text);
  const secure = base.protocol === "https:" || (base.protocol === "http:" && LOOPBACK.test(base.hostname));
  if (!secure) throw new NotConfigured("RIVERRUN_UPSTREAM must begin with https://.");
  if (base.username || base.password || base.search || base.hash) {
    throw new NotConfigured("RIVERRUN_UPSTREAM is an address and, at most, a path.");
  }
  return base;
}

function credentialsOf(read, base) {
  const [keyId, secretKey] = [read("UPSTREAM_KEY_ID"), read("UPSTREAM_SECRET_KEY")];
  if (keyId === "" && secretKey === "") return null;
  if (keyId === "" || secretKey === "") {
    throw new NotConfigured("RIVERRUN_UPSTREAM_KEY_ID and RIVERRUN_UPSTREAM_SECRET_KEY go together.");
  }
  if (MANY_REGIONS.test(base.hostname)) {
    throw new NotConfigured("An endpoint of many Regions wants SigV4a, which the gateway cannot: name one of one Region.");
  }
  const [told, service] = hosted(base.hostname);
  const region = read("UPSTREAM_REGION") || told;
  if (region === "") {
    throw new NotConfigured("The address does not tell its region: set RIVERRUN_UPSTREAM_REGION.");
  }
  const sessionToken = read("UPSTREAM_SESSION_TOKEN");
  return { keyId, secretKey, sessionToken, region, service: read("UPSTREAM_SERVICE") || service };
}

function hosted(hostname) {
  for (const [pattern, service] of HOSTS) {
    const found = pattern.exec(hostname);
    if (found) return [found[1], service];
  }
  return ["", "lambda"];
}
