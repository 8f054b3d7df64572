// The parser against vectors written from the standard, cut in every way a network can cut.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { EventTooLarge, createParser } from "../../netlify/site/sse.js";

const vectors = JSON.parse(readFileSync(new URL("sse_vectors.json", import.meta.url), "utf8"));
const latin = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const bytesOf = ({ text, bytes }) => (bytes === undefined ? new TextEncoder().encode(text) : latin(bytes));

function read(chunks) {
  const parser = createParser();
  const events = chunks.flatMap((chunk) => parser.feed(chunk));
  return {
    events: events.map(({ type, data, lastEventId }) => [type, data, lastEventId]),
    lastEventId: parser.lastEventId,
    retry: parser.retry,
  };
}

for (const vector of vectors) {
  const { name, events, lastEventId = "", retry = null } = vector;
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

  if (vector.bytes === undefined) {
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
  }, EventTooLarge);
  const event = createParser({ limit: 100 });
  assert.throws(() => {
    for (let n = 0; n < 20; n += 1) event.feed("data: 123456789\n");
  }, EventTooLarge);
});

test("a megabyte in single characters costs no more than a moment", () => {
  const parser = createParser();
  const started = performance.now();
  parser.feed("data: ");
  for (let n = 0; n < 1_000_000; n += 1) parser.feed("x");
  const [event] = parser.feed("\n\n");
  assert.equal(event.data.length, 1_000_000);
  assert.ok(performance.now() - started < 5_000, "the parser is quadratic in small chunks");
});
