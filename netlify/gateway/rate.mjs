/**
 * How often one address may ask: a count for each address in a window of a minute, in the memory of
 * one instance of the gateway. Netlify runs several, so an address may have the limit in each; the
 * firm limits, for each visitor and for all, are the functions' own (docs/public.md).
 */
const WINDOW = 60_000;
/** So many addresses are remembered; a flood from more than that forgets the oldest. */
const REMEMBERED = 10_000;

/**
 * A function from an address and a time in milliseconds to how many milliseconds the address has to
 * wait: 0 when it may ask. `limit` is in requests a minute; 0 lets every request through.
 */
export function createRate(limit, remembered = REMEMBERED) {
  const counts = new Map();
  return function wait(address, now) {
    if (limit === 0) return 0;
    let count = counts.get(address);
    if (count === undefined || now - count.since >= WINDOW) {
      count = { since: now, requests: 0 };
      counts.delete(address); // at the end again: the oldest are at the beginning
      counts.set(address, count);
      if (counts.size > remembered) counts.delete(counts.keys().next().value);
    }
    count.requests += 1;
    return count.requests <= limit ? 0 : count.since + WINDOW - now;
  };
}

/**
 * An address as one visitor has it: an IPv6 subscriber owns a whole /64 and could use a new address
 * for each request; an IPv4 address that is written as IPv6 is the IPv4 address.
 */
export function visitorOf(address) {
  const text = String(address ?? "").toLowerCase();
  if (!/^[0-9a-f.:]{2,45}$/.test(text)) return "";
  if (!text.includes(":")) return text;
  const mapped = /^(?:0*:)*:?ffff:(\d+(?:\.\d+){3})$/.exec(text);
  if (mapped) return mapped[1];
  const [head, tail] = text.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const rest = tail === "" ? [] : tail.split(":");
    while (groups.length + rest.length < 8) groups.push("0");
    groups.push(...rest);
  }
  return `${groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::`;
}
