/**
 * All waiting of a client: for a connection that may fall silent, and for the next try. Both end
 * early when a network is back or the page is looked at again.
 */
import { LostError, notify } from "./errors.js";

/**
 * @typedef {ReturnType<typeof import("./retry_policy.js").createRetryCounter>} RetryCounter
 * @typedef {{signal: AbortSignal, within: <T>(promise: Promise<T>) => Promise<T>, close: () => void}} Wire
 */

/**
 * @param {import("./types.js").Environment} environment
 * @param {import("./types.js").RetryPolicy} policy
 */
export function createWaiting({ timer, now, isOnline }, { silence, longestWait }) {
  const wakers = /** @type {Set<(online: boolean) => void>} */ (new Set());

  /** Run `expire` after `ms`, or on a wake that `isReason`. Returns what cancels it. */
  function arm(/** @type {number} */ ms, /** @type {() => void} */ expire, /** @type {(online: boolean) => boolean} */ isReason) {
    const waker = (/** @type {boolean} */ online) => isReason(online) && expire();
    const cancel = timer(expire, ms);
    wakers.add(waker);
    return () => {
      cancel();
      wakers.delete(waker);
    };
  }

  return {
    /** `online`: there is a network again; otherwise the page is looked at, or a stop was asked for. */
    wake: (/** @type {boolean} */ online) => wakers.forEach((waker) => waker(online)),

    /** Open a connection that is left after silence, and when the network changed. @type {() => Wire} */
    open() {
      const controller = new AbortController();
      const close = () => controller.abort();
      return {
        signal: controller.signal,
        close,
        /** Wait for a promise, also for one that knows nothing of `signal`. */
        within: (promise) =>
          new Promise((resolve, reject) => {
            const since = now();
            const lose = () => {
              reject(new LostError("Silence."));
              close();
            };
            // After a time without a network, or asleep, a connection may be dead and not know it.
            const end = arm(silence, lose, (online) => online || now() - since > silence);
            promise.then(resolve, reject).finally(end);
          }),
      };
    },

    /**
     * Wait before the next try. Throws what was `lost` when it was the last.
     *
     * @type {(lost: unknown, counter: RetryCounter, listener?: (notice: import("./events.js").RetryNotice) => void) => Promise<void>}
     */
    async retry(lost, counter, listener) {
      if (!(lost instanceof LostError)) throw lost;
      // Without a network no packet leaves, so no try failed; `wake` ends the wait for one.
      const online = isOnline();
      const waitMs = online ? counter.nextWait(lost) : longestWait;
      if (waitMs === null) {
        if (!counter.wasAnswered && !lost.status) lost.code = "unreachable";
        throw lost;
      }
      const reason = online ? lost.message : "No network.";
      notify(listener, { reason, attempt: counter.failures, waitMs, paused: !!(/** @type {any} */ (lost).paused) });
      return new Promise((resolve) => {
        const end = arm(waitMs, () => (end(), resolve()), () => true);
      });
    },
  };
}
