/**
 * What becomes of streams, counted: how many, how well, how fast. It observes any stream of events
 * and changes none.
 */

/**
 * @typedef {{
 *   count: number, mean: number | null, min: number | null, max: number | null,
 *   p50: number | null, p90: number | null, p99: number | null,
 * }} Times in milliseconds, over the last streams that were kept; `null` where there are none
 *
 * @typedef {{
 *   totalStreams: number, activeStreams: number, successfulStreams: number, errorStreams: number,
 *   stoppedStreams: number, totalEvents: number, averageEvents: number | null,
 *   successRate: number | null, duration: Times, firstEvent: Times, firstToken: Times,
 * }} Report `successRate` is from 0 to 1, of the streams that ended and were not stopped
 *
 * @typedef {"success" | "error" | "stopped"} Outcome
 * @typedef {{event: (event: {type: string}) => void, end: (outcome: Outcome) => void}} Watch
 */

/**
 * Begin to count.
 *
 * `observe(stream)` passes a stream on and counts it: `for await (const event of
 * analytics.observe(stream(query)))`. `watch()` counts one that is told by hand. `report()` is what
 * is known so far.
 *
 * @param {{now?: () => number, keep?: number}} [options] `now` in milliseconds; `keep`: of how many
 *   streams the times are kept
 */
export function createAnalytics({ now = () => performance.now(), keep = 1_000 } = {}) {
  const ends = { success: 0, error: 0, stopped: 0 };
  let started = 0;
  let events = 0;
  /** @type {Record<"duration" | "firstEvent" | "firstToken", number[]>} */
  const times = { duration: [], firstEvent: [], firstToken: [] };

  /** @type {(name: keyof typeof times, since: number) => void} */
  function note(name, since) {
    times[name].push(Math.max(0, now() - since));
    if (times[name].length > keep) times[name].shift();
  }

  /** @type {() => Watch} */
  function watch() {
    const since = now();
    started += 1;
    let count = 0;
    let token = false;
    let ended = false;
    return {
      event({ type }) {
        if (ended) return;
        events += 1;
        if ((count += 1) === 1) note("firstEvent", since);
        if (type === "token" && !token) {
          token = true;
          note("firstToken", since);
        }
      },
      end(outcome) {
        if (ended) return;
        ended = true;
        ends[outcome] += 1;
        if (outcome === "success") note("duration", since);
      },
    };
  }

  /**
   * @template {{type: string}} E
   * @param {AsyncIterable<E>} stream
   * @returns {AsyncGenerator<E, void>}
   */
  async function* observe(stream) {
    const one = watch();
    try {
      for await (const event of stream) {
        one.event(event);
        if (event.type === "final") one.end(outcomeOf(event));
        yield event;
      }
      one.end("error"); // an end without a terminal event is no success
    } catch (error) {
      one.end(outcomeOf(error));
      throw error;
    } finally {
      one.end("stopped"); // the caller left the loop
    }
  }

  /** @type {() => Report} */
  function report() {
    const { success, error, stopped } = ends;
    return {
      totalStreams: started,
      activeStreams: started - success - error - stopped,
      successfulStreams: success,
      errorStreams: error,
      stoppedStreams: stopped,
      totalEvents: events,
      averageEvents: started === 0 ? null : events / started,
      successRate: success + error === 0 ? null : success / (success + error),
      duration: describe(times.duration),
      firstEvent: describe(times.firstEvent),
      firstToken: describe(times.firstToken),
    };
  }

  return { watch, observe, report };
}

/**
 * How a stream ended, from its `final` event or its error.
 *
 * @type {(end: any) => Outcome}
 */
export function outcomeOf(end) {
  if (end?.result) return end.result.finishReason === "cancelled" ? "stopped" : "success";
  return end?.code === "cancelled" || end?.name === "AbortError" ? "stopped" : "error";
}

/** @type {(values: number[]) => Times} */
function describe(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  // The nearest rank: always a time that was measured.
  const rank = (/** @type {number} */ part) => sorted[Math.ceil(part * count) - 1] ?? null;
  const mean = count === 0 ? null : sorted.reduce((sum, value) => sum + value, 0) / count;
  return { count, mean, min: rank(1e-9), max: rank(1), p50: rank(0.5), p90: rank(0.9), p99: rank(0.99) };
}
