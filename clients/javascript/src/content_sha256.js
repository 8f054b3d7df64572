/**
 * A `fetch` for a service behind CloudFront with origin access control: what is posted carries the
 * hash of its body. CloudFront signs for its callers and reads no body; without the hash AWS refuses
 * the request with 403.
 */

/**
 * Return `fetch` with `x-amz-content-sha256` on each request that has a body.
 *
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {typeof globalThis.fetch}
 */
export function hashBodies(fetch = globalThis.fetch) {
  return async (url, init = {}) => {
    if (typeof init.body !== "string") return fetch(url, init);
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(init.body));
    const headers = new Headers(init.headers);
    headers.set("x-amz-content-sha256", [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
    return fetch(url, { ...init, headers });
  };
}
