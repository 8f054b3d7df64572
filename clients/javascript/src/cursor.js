/**
 * How far a reader is in a run, and what it has heard so far. Frames in, events out, each once and
 * in order; it knows nothing of connections.
 */
import { Lost, nothing, readError } from "./errors.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */

/**
 * A place in a run: `""` and 0 where there is none yet.
 *
 * @param {string} runId
 * @param {number} after
 */
export function createPlace(runId, after) {
  const place = {
    runId,
    seq: after,
    known: runId !== "", // by an event of it or by who joins it, not only by the head of an answer
    ended: false,
    partial: nothing(),
    cursor: () => (place.known ? `${place.runId}-${place.seq}` : ""),

    /**
     * The event of a frame; `null` for one seen before. Throws `Lost` for a gap, a pause, nonsense,
     * and `RiverrunError` for an `error` event.
     *
     * @type {(frame: import("./fetch_transport.js").Heard) => RunEvent | null}
     */
    accept({ data, id, sticky }) {
      const event = parse(data ?? "");
      const found = /^(.+)-([0-9]+)$/.exec(id ?? "");
      if (found && !move(found[1], Number(found[2])) && !(sticky && /^(paused|error)$/.test(event.type))) return null;
      if (event.type === "paused") {
        const lost = new Lost(`Paused: ${event.reason}.`);
        throw Object.assign(lost, { retryAfterMs: event.resumeAfterMs, paused: true });
      }
      take(event);
      if (event.type !== "error") return event;
      const error = readError(event, "The run failed.");
      error.runId ||= place.runId;
      error.cursor ||= place.cursor();
      // What was heard here stays, unless the server knows the same or more of it.
      if (error.partial.answer.length < place.partial.answer.length || error.partial.steps.length === 0) {
        error.partial = place.partial;
      }
      throw error;
    },
  };

  /** Whether that event is the next one. @type {(run: string, seq: number) => boolean} */
  function move(run, seq) {
    if (place.known && run !== place.runId) throw new Lost("Another run answered.");
    Object.assign(place, { runId: run, known: true });
    if (seq <= place.seq) return false;
    if (seq > place.seq + 1) throw new Lost("Events are missing.");
    place.seq = seq;
    return true;
  }

  /** @type {(event: any) => void} */
  function take(event) {
    const { partial } = place;
    if (event.type === "token") partial.answer += event.text;
    else if (event.type === "reset") partial.answer = "";
    else if (event.type === "sources") partial.sources = event.sources;
    else if (event.type === "status") {
      const others = partial.steps.filter(({ step }) => step !== event.status?.step);
      partial.steps = [...others, event.status];
    } else if (event.type === "final" || event.type === "error") place.ended = true;
  }

  return place;
}

/** @type {(data: string) => any} */
function parse(data) {
  try {
    const event = JSON.parse(data);
    if (event.type.trim) return event;
  } catch {
    // Said below, as of what is JSON but no event.
  }
  throw new Lost("This is no event.");
}
