/**
 * How often and after which waits a client tries again, and when it gives up. Arithmetic over
 * random numbers that are handed in; it does not wait itself.
 */

/** @type {import("./types.js").RetryPolicy} */
export const RETRY_POLICY = {
  maxRetries: 9,
  maxUnanswered: 3,
  firstWait: 1_000,
  longestWait: 30_000,
  silence: 35_000,
  longestRetryAfter: 120_000,
  grace: 4_000,
};

/**
 * Count the failed tries of one run. `nextWait(lost)` is how long to wait before the next one, or
 * `null` to give up.
 *
 * @param {import("./types.js").RetryPolicy} policy
 * @param {() => number} random from 0 up to 1
 */
export function createRetryCounter(policy, random) {
  const tries = {
    failures: 0,
    wasAnswered: false,
    firstWait: policy.firstWait,

    /** @type {(lost: {retryAfterMs: number | null, paused?: boolean}) => number | null} */
    nextWait({ retryAfterMs, paused }) {
      const waitMs = retryAfterMs ?? 0;
      if (waitMs > policy.longestRetryAfter) return null;
      tries.failures += 1;
      // The server itself asked to come back; this try failed only if the next try brings nothing.
      if (paused && tries.failures === 1) return waitMs;
      if (tries.failures > (tries.wasAnswered ? policy.maxRetries : policy.maxUnanswered)) return null;
      // Full jitter: any part of the wait, so that a crowd that was cut off does not come back
      // as one.
      const ceiling = Math.min(policy.longestWait, tries.firstWait * 2 ** (tries.failures - 1));
      return Math.max(waitMs, random() * ceiling);
    },
  };
  return tries;
}
