/**
 * How long a client bears with a server: waits, tries, and when it is enough. Arithmetic over
 * chance that is handed in; it does not wait itself.
 */

/**
 * Times in milliseconds. `tries`: vain tries in a row before a run is given up; one that brought
 * an event is not vain. `strangers`: the same while no server has ever answered. The wait is a
 * random part of `first` (or of the stream's own `retry`, from 100 up to `longest`), doubled with each vain try up to
 * `longest`. `silence`: three heartbeats of the contract and a little more, then the line is dead.
 * `asked`: the longest `Retry-After` that is waited for. `grace`: how long a stopped run may take
 * to say its last words.
 */
export const PATIENCE = {
  tries: 9,
  strangers: 3,
  first: 1_000,
  longest: 30_000,
  silence: 35_000,
  asked: 120_000,
  grace: 4_000,
};

/** @typedef {typeof PATIENCE} Patience */

/**
 * Count the vain tries of one run. `after(lost)` is how long to wait before the next one, or
 * `null` when it is enough.
 *
 * @param {Patience} patience
 * @param {() => number} random from 0 up to 1
 */
export function countTries(patience, random) {
  const tries = {
    vain: 0,
    met: false,
    first: patience.first,

    /** @type {(lost: import("./errors.js").Lost) => number | null} */
    after({ retryAfterMs, paused }) {
      const waitMs = retryAfterMs ?? 0;
      if (waitMs > patience.asked) return null;
      tries.vain += 1;
      // The server itself asked to come back; that is vain only if the next try brings nothing.
      if (paused && tries.vain === 1) return waitMs;
      if (tries.vain > (tries.met ? patience.tries : patience.strangers)) return null;
      // Full jitter: any part of the wait, so that a crowd that was cut off does not come back
      // as one.
      const ceiling = Math.min(patience.longest, tries.first * 2 ** (tries.vain - 1));
      return Math.max(waitMs, random() * ceiling);
    },
  };
  return tries;
}
