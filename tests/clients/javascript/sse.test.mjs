// The parser against the corpus of vectors, cut in every way a network can cut.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createParser } from "../../../clients/javascript/src/sse.js";

const corpus = new URL("../../corpus/event_stream.json", import.meta.url);
const vectors = JSON.parse(readFileSync(corpus, "utf8"));
const bytesOf = ({ text, base64 }) =>
  base64 === undefined ? new TextEncoder().encode(text) : new Uint8Array(Buffer.from(base64, "base64"));

function read(chunks) {
  const parser = createParser();
  const events = chunks.flatMap((chunk) => parser.feed(chunk));
  return {
    events: events.map(({ type, data, lastEventId }) => ({ data, event: type, id: lastEventId })),
    lastEventId: parser.lastEventId,
    retry: parser.retry,
  };
}

for (const vector of vectors) {
  const { name, events, lastEventId, retry } = vector;
  const expected = { events, lastEventId, retry };
  const bytes = bytesOf(vector);

  test(`${name}: whole`, () => assert.deepEqual(read([bytes]), expected));

  test(`${name}: byte by byte, with nothing between`, () => {
    const crumbs = Array.from(bytes, (byte) => [Uint8Array.of(byte), new Uint8Array()]).flat();
    assert.deepEqual(read(crumbs), expected);
  });

  test(`${name}: in two, cut anywhere`, () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      assert.deepEqual(read([bytes.subarray(0, cut), bytes.subarray(cut)]), expected, `at ${cut}`);
    }
  });

  if (vector.base64 === undefined) {
    test(`${name}: as text`, () => assert.deepEqual(read([...vector.text]), expected));
  }
}

test("an event says whether its id was its own", () => {
  const parser = createParser();
  const events = parser.feed("id: a-1\ndata: x\n\ndata: y\n\n");
  assert.deepEqual(events.map(({ id, lastEventId }) => [id, lastEventId]), [["a-1", "a-1"], [null, "a-1"]]);
});

test("an event is given out before the byte that follows its blank line", () => {
  assert.equal(createParser().feed("data: x\r\n\r").length, 1);
  assert.equal(createParser().feed("data: x\n\n").length, 1);
});

test("a line or an event without end is refused at the limit", () => {
  const line = createParser({ limit: 100 });
  assert.throws(() => {
    for (let n = 0; n < 20; n += 1) line.feed("x".repeat(10));
  }, RangeError);
  const event = createParser({ limit: 100 });
  assert.throws(() => {
    for (let n = 0; n < 20; n += 1) event.feed("data: 123456789\n");
  }, RangeError);
});

test("a megabyte in single characters is one event", () => {
  const parser = createParser();
  parser.feed("data: ");
  for (let n = 0; n < 1_000_000; n += 1) parser.feed("x");
  const [event] = parser.feed("\n\n");
  assert.equal(event.data.length, 1_000_000);
});
