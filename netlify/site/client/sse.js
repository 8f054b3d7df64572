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
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let atStart = true;
  let afterCR = false;
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
    const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    /** @type {Frame[]} */
    const events = [];
    if (text === "") return events;
    let from = 0;
    if (atStart && text[0] === "\uFEFF") from = 1;
    // A CR ends its line at once; the LF of a CRLF cut in two belongs to that line.
    if (afterCR && text[0] === "\n") from = 1;
    atStart = false;
    afterCR = text.endsWith("\r");

    // Only the new text is searched: searching what was kept would be quadratic in small chunks.
    const ends = /\r\n?|\n/g;
    ends.lastIndex = from;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      line += text.slice(from, end.index);
      from = ends.lastIndex;
      if (line === "") dispatch(events);
      else field(line);
      line = "";
    }
    line += text.slice(from);
    if (line.length + data.length > limit) throw new RangeError("An event is too large.");
    return events;
  }

  /** @type {(whole: string) => void} */
  function field(whole) {
    const colon = whole.indexOf(":");
    if (colon === 0) return; // a comment
    const name = colon === -1 ? whole : whole.slice(0, colon);
    let value = colon === -1 ? "" : whole.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    if (name === "data") data += `${value}\n`;
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) retry = Number(value);
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
