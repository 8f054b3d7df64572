// The parser against `eventsource-parser` on random streams in random cuts. SEED and ROUNDS say
// which and how many; a disagreement prints the stream.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createParser } from "../../../clients/javascript/src/sse.js";
import { chance } from "./chance.mjs";
import { load } from "./installed.mjs";

const { createParser: createTheirs } = await load("eventsource-parser");

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
const rounds = Number(process.env.ROUNDS ?? 20_000);

const PIECES = [
  "\n", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "\n\r", ":", ": ping\n", " ", "\t", "\0", "\ufeff",
  "data", "data:", "data: ", "data: a\n", "data: b\n\n", "data\n", "event: ", "event: x\n", "event\n",
  "id: ", "id: 7\n", "id\n", "id: a\0b\n", "retry: ", "retry: 30\n", "retry: 1x\n", "retry:\n",
  "Data: a\n", " data: a\n", "datax: a\n", "a", "0", "é", "€", "🌊", "\u2028", "\u0085", "__proto__: a\n",
]; // prettier-ignore
const BYTES = [[0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x8c], [0xed, 0xa0, 0x80], [0xef, 0xbb], [0xc0, 0xaf]];

const encoder = new TextEncoder();
const encoded = PIECES.map((piece) => encoder.encode(piece));

function streamOf(random) {
  const parts = [];
  const count = 1 + Math.floor(random() * 24);
  for (let n = 0; n < count; n += 1) {
    const from = random() < 0.05 ? BYTES : encoded;
    parts.push(...from[Math.floor(random() * from.length)]);
  }
  return Uint8Array.from(parts);
}

function cutsOf(bytes, random) {
  const longest = 1 + Math.floor(random() * 12);
  const chunks = [];
  for (let from = 0; from < bytes.length; ) {
    const to = from + 1 + Math.floor(random() * longest);
    chunks.push(bytes.subarray(from, to));
    from = to;
  }
  return chunks;
}

function ours(chunks) {
  const parser = createParser();
  const events = chunks.flatMap((chunk) => parser.feed(chunk));
  return { events: events.map(({ type, data, id }) => [type, data, id]), retry: parser.retry };
}

function theirs(chunks) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const events = [];
  let retry = null;
  const parser = createTheirs({
    onEvent: ({ event, data, id }) => events.push([event || "message", data, id ?? null]),
    onRetry: (ms) => (retry = ms),
  });
  for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
  return { events, retry };
}

test(`both parsers agree on ${rounds} streams (SEED=${seed})`, () => {
  const random = chance(seed);
  for (let round = 0; round < rounds; round += 1) {
    const bytes = streamOf(random);
    const chunks = cutsOf(bytes, random);
    const [mine, other] = [ours(chunks), theirs(chunks)];
    if (JSON.stringify(mine) === JSON.stringify(other)) continue;
    const stream = JSON.stringify(Buffer.from(bytes).toString("latin1"));
    assert.deepEqual(mine, other, `SEED=${seed}, round ${round}, ${chunks.map(({ length }) => length)}: ${stream}`);
  }
});
