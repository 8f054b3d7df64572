/**
 * How far a reader is in a run, and what it has heard so far. Frames in, events out, each once and
 * in order; it knows nothing of connections.
 */
import { LostError, emptyPartial, readError } from "./errors.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */

/**
 * A cursor in a run: `""` and 0 where there is none yet.
 *
 * @param {string} runId
 * @param {number} after
 */
export function createCursor(runId, after) {
  const cursor = {
    runId,
    seq: after,
    known: runId !== "", // by an event of it or by the caller that joins it, not only by the head of an answer
    ended: false,
    partial: emptyPartial(),
    toString: () => (cursor.known ? `${cursor.runId}-${cursor.seq}` : ""),

    /**
     * The event of a frame; `null` for one seen before. Throws `LostError` for a gap, a pause,
     * nonsense, and `RiverrunError` for an `error` event.
     *
     * @type {(frame: import("./types.js").WireItem) => RunEvent | null}
     */
    accept({ data, id }) {
      const event = parse(/** @type {string} */ (data));
      const { type } = event;
      const { partial } = cursor;
      const [, run, number] = /^(.+)-([0-9]+)$/.exec(id ?? "") ?? [];
      if (run) {
        const seq = +number;
        if (cursor.known && run !== cursor.runId) throw new LostError("Another run.");
        cursor.runId = run;
        cursor.known = true;
        if (seq <= cursor.seq) return null;
        if (seq > cursor.seq + 1) throw new LostError("Events are missing.");
        cursor.seq = seq;
      }
      if (type === "paused") {
        throw new LostError(`Paused: ${event.reason}.`, { retryAfterMs: event.resumeAfterMs, paused: true });
      }
      if (type === "token") partial.answer += event.text;
      if (type === "reset") partial.answer = "";
      if (type === "sources") partial.sources = event.sources;
      if (type === "status") {
        partial.steps = [...partial.steps.filter(({ step }) => step !== event.status?.step), event.status];
      }
      cursor.ended = /^(final|error)$/.test(type);
      if (type === "error") throw readError(event, "The run failed.");
      return event;
    },
  };
  return cursor;
}

/** @type {(data: string) => any} */
function parse(data) {
  try {
    const event = JSON.parse(data);
    if (event.type.trim) return event;
  } catch {
    // Said below, as of what is JSON but no event.
  }
  throw new LostError("No event.");
}
