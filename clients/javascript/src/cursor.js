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
     * The event of a frame; `null` for one seen before. Throws `LostError` for a gap, a pause, nonsense,
     * and `RiverrunError` for an `error` event.
     *
     * @type {(frame: import("./fetch_transport.js").WireItem) => RunEvent | null}
     */
    accept({ data, id, sticky }) {
      const event = parse(data ?? "");
      const found = /^(.+)-([0-9]+)$/.exec(id ?? "");
      if (found && !move(found[1], Number(found[2])) && !(sticky && /^(paused|error)$/.test(event.type))) return null;
      if (event.type === "paused") {
        const lost = new LostError(`Paused: ${event.reason}.`);
        throw Object.assign(lost, { retryAfterMs: event.resumeAfterMs, paused: true });
      }
      take(event);
      if (event.type !== "error") return event;
      const error = readError(event, "The run failed.");
      error.runId ||= cursor.runId;
      error.cursor ||= cursor.toString();
      // What was heard here stays, unless the server knows the same or more of it.
      if (error.partial.answer.length < cursor.partial.answer.length || error.partial.steps.length === 0) {
        error.partial = cursor.partial;
      }
      throw error;
    },
  };

  /** Whether that event is the next one. @type {(run: string, seq: number) => boolean} */
  function move(run, seq) {
    if (cursor.known && run !== cursor.runId) throw new LostError("Another run answered.");
    Object.assign(cursor, { runId: run, known: true });
    if (seq <= cursor.seq) return false;
    if (seq > cursor.seq + 1) throw new LostError("Events are missing.");
    cursor.seq = seq;
    return true;
  }

  /** @type {(event: any) => void} */
  function take(event) {
    const { partial } = cursor;
    if (event.type === "token") partial.answer += event.text;
    else if (event.type === "reset") partial.answer = "";
    else if (event.type === "sources") partial.sources = event.sources;
    else if (event.type === "status") {
      const others = partial.steps.filter(({ step }) => step !== event.status?.step);
      partial.steps = [...others, event.status];
    } else if (event.type === "final" || event.type === "error") cursor.ended = true;
  }

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
  throw new LostError("This is no event.");
}
