/**
 * Server-sent events, read exactly as the WHATWG standard says ("9.2.6 Interpreting an event
 * stream"): bytes or text in, events out, cut anywhere. It knows nothing about sockets, JSON or
 * what the events mean.
 */

/**
 * @typedef {{type: string, data: string, id: string | null, lastEventId: string}} Frame
 */

/**
 * Make a parser for one connection.
 *
 * `feed(chunk)` takes the next `Uint8Array` or string and returns the events it completed, each
 * `{type, data, id, lastEventId}`: `lastEventId` persists from event to event, `id` is what this
 * event's own block said, or `null`. `retry` is the last reconnection time in milliseconds, or
 * `null`. What is unfinished when the connection ends is discarded, as the standard asks: simply
 * drop the parser.
 *
 * `limit` bounds what one unfinished event may hold, in UTF-16 units; beyond it `feed` throws a
 * `RangeError`: the server does not speak this protocol.
 *
 * @param {{limit?: number}} [options]
 */
export function createParser({ limit = 4_194_304 } = {}) {
  // The parser strips the one leading BOM itself, so that text and bytes are treated alike.
  // It is made for the first bytes: a host without it reads text.
  /** @type {TextDecoder | undefined} */
  let decoder;
  // What does not count at the start of a chunk: the one leading BOM, or the LF of a CRLF cut in two.
  let skipped = /^\uFEFF/;
  let line = "";
  let data = "";
  let type = "";
  /** @type {string | null} */
  let id = null;
  let lastEventId = "";
  /** @type {number | null} */
  let retry = null;

  /** @type {(chunk: Uint8Array | string) => Frame[]} */
  function feed(chunk) {
    const text = typeof chunk === "string" ? chunk : (decoder ??= new TextDecoder("utf-8", { ignoreBOM: true })).decode(chunk, { stream: true });
    /** @type {Frame[]} */
    const events = [];
    if (text === "") return events;
    // Only the new text is searched: searching what was kept would be quadratic in small chunks.
    const [first, ...more] = text.replace(skipped, "").split(/\r\n?|\n/);
    skipped = text.endsWith("\r") ? /^\n/ : /^$/; // a CR ends its line at once
    line += first;
    for (const next of more) {
      if (line === "") dispatch(events);
      else readField(line);
      line = next;
    }
    if (line.length + data.length > limit) throw new RangeError("Event too large.");
    return events;
  }

  /** @type {(whole: string) => void} */
  function readField(whole) {
    // A comment is a line whose field has no name.
    const [, name, value = ""] = /** @type {string[]} */ (/^([^:]*)(?:: ?([^]*))?$/.exec(whole));
    if (name === "data") data += `${value}\n`;
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) retry = +value;
  }

  /** @type {(events: Frame[]) => void} */
  function dispatch(events) {
    // A block that holds only an id is a legal checkpoint: the id counts, no event is made.
    if (id !== null) lastEventId = id;
    if (data !== "") {
      events.push({ type: type || "message", data: data.slice(0, -1), id, lastEventId });
    }
    data = "";
    type = "";
    id = null;
  }

  return {
    feed,
    get retry() {
      return retry;
    },
    get lastEventId() {
      return lastEventId;
    },
  };
}
