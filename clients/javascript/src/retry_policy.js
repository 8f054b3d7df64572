/**
 * How often and after which waits a client tries again, and when it gives up. Arithmetic over
 * random numbers that are handed in; it does not wait itself.
 */

/**
 * Times in milliseconds. `maxRetries`: failed tries in a row before a run is given up; a try that
 * brought an event is no failure. `maxUnanswered`: the same while no server has ever answered. The
 * wait is a random part of `firstWait` (or of the stream's own `retry`, from 100 up to
 * `longestWait`), doubled with each failed try up to `longestWait`. `silence`: three heartbeats of
 * the contract and a little more, then the connection is dead. `longestRetryAfter`: the longest
 * `Retry-After` that is waited for. `grace`: how long a stopped run may take to say its last words.
 */
export const RETRY_POLICY = {
  maxRetries: 9,
  maxUnanswered: 3,
  firstWait: 1_000,
  longestWait: 30_000,
  silence: 35_000,
  longestRetryAfter: 120_000,
  grace: 4_000,
};

/** @typedef {typeof RETRY_POLICY} RetryPolicy */

/**
 * Count the failed tries of one run. `nextWait(lost)` is how long to wait before the next one, or
 * `null` to give up.
 *
 * @param {RetryPolicy} policy
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
