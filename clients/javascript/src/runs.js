/**
 * What belongs to who asks: its runs are listed, and runs and sessions deleted. Each call has the tries
 * of a stream, and its promise is kept when the server has answered.
 */
import { defaultEnvironment } from "./environment.js";
import { LostError } from "./errors.js";
import { send } from "./fetch_transport.js";
import { RETRY_POLICY, createRetryCounter } from "./retry_policy.js";
import { createWaiting } from "./waiting.js";

/**
 * @typedef {import("./types.js").ConnectionOptions} ConnectionOptions
 * @typedef {{runId: string, state: "running" | "paused" | "completed" | "failed", created: number, query: string, sessionId: string | null}} OwnRun
 */

/**
 * List the newest runs of who asks, newest first.
 *
 * @param {ConnectionOptions & {limit?: number}} [options] `limit`: at most so many, 20 by default
 * @returns {Promise<OwnRun[]>}
 */
export async function listRuns(options = {}) {
  const response = await ask("GET", `/runs?limit=${options.limit ?? 20}`, options);
  return (await response.json()).runs;
}

/**
 * Delete a run; one that is live is stopped first. Throws a `RiverrunError` where there is none.
 *
 * @param {string} runId
 * @param {ConnectionOptions} [options]
 */
export async function deleteRun(runId, options = {}) {
  await ask("DELETE", `/runs/${encodeURIComponent(runId)}`, options);
}

/**
 * Delete a session: its runs, and what it remembers.
 *
 * @param {string} sessionId
 * @param {ConnectionOptions} [options]
 */
export async function deleteSession(sessionId, options = {}) {
  await ask("DELETE", `/sessions/${encodeURIComponent(sessionId)}`, options);
}

/** @type {(method: "GET" | "DELETE", rest: string, options: ConnectionOptions) => Promise<any>} */
async function ask(method, rest, options) {
  const policy = { ...RETRY_POLICY, ...options.retryPolicy };
  const environment = { ...defaultEnvironment(), ...options.environment };
  const waiting = createWaiting(environment, policy);
  const tries = createRetryCounter(policy, environment.random);
  const [base = "", search] = (options.endpoint ?? "/api/chat").split("#", 1)[0]?.split("?", 2) ?? [];
  const url = base.replace(/\/+$/, "") + rest + (search ? (rest.includes("?") ? "&" : "?") + search : "");
  for (;;) {
    options.signal?.throwIfAborted();
    const wire = waiting.open();
    const { headers: given } = options;
    const tools = {
      ...environment,
      signal: wire.signal,
      headers: async (/** @type {boolean} */ renew) =>
        typeof given === "function" ? given({ unauthorized: renew }) : renew ? null : given,
    };
    try {
      return await wire.within(send({ url, method, headers: { Accept: "application/json" } }, tools, false));
    } catch (problem) {
      // What is not there after a try without an answer was deleted by that try.
      const gone = !(problem instanceof LostError) && /** @type {any} */ (problem)?.code === "not_found";
      if (gone && method === "DELETE" && tries.failures) return null;
      await waiting.retry(problem, tries);
    }
  }
}
