// Figures that are right, with no streams too.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createAnalytics } from "../../../clients/javascript/src/analytics.js";

const final = { type: "final", result: { finishReason: "stop" } };

async function* said(clock, ...events) {
  for (const event of events) {
    clock.now += 10;
    if (event instanceof Error) throw event;
    yield event;
  }
}

async function drain(stream) {
  const seen = [];
  try {
    for await (const event of stream) seen.push(event);
  } catch {
    // Counted; that is what this is about.
  }
  return seen;
}

test("without streams there is no figure that is not a number", () => {
  const none = { count: 0, mean: null, min: null, max: null, p50: null, p90: null, p99: null };
  assert.deepEqual(createAnalytics().report(), {
    totalStreams: 0,
    activeStreams: 0,
    successfulStreams: 0,
    errorStreams: 0,
    stoppedStreams: 0,
    totalEvents: 0,
    averageEvents: null,
    successRate: null,
    duration: none,
    firstEvent: none,
    firstToken: none,
  });
});

test("a stream is passed on untouched, and counted by how it ends", async () => {
  const clock = { now: 0 };
  const { observe, report } = createAnalytics({ now: () => clock.now });
  const events = [{ type: "status" }, { type: "token" }, { type: "token" }, final];
  assert.deepEqual(await drain(observe(said(clock, ...events))), events);
  await drain(observe(said(clock, { type: "status" }, Object.assign(new Error("no"), { code: "internal" }))));
  await drain(observe(said(clock, Object.assign(new Error("stop"), { code: "cancelled" }))));
  await drain(observe(said(clock, { type: "final", result: { finishReason: "cancelled" } })));
  await drain(observe(said(clock, { type: "token" }))); // an end without a terminal event
  for await (const _event of observe(said(clock, ...events))) break; // its reader left
  const { duration, firstEvent, firstToken, ...counts } = report();
  assert.deepEqual(counts, {
    totalStreams: 6,
    activeStreams: 0,
    successfulStreams: 1,
    errorStreams: 2,
    stoppedStreams: 3,
    totalEvents: 8,
    averageEvents: 8 / 6,
    successRate: 1 / 3,
  });
  assert.deepEqual([duration.count, duration.p50, firstEvent.p50, firstToken.max], [1, 40, 10, 20]);
});

test("percentiles are times that were measured, of the last streams only", () => {
  const clock = { now: 0 };
  const { watch, report } = createAnalytics({ now: () => clock.now, keep: 100 });
  for (let ms = -19; ms <= 100; ms += 1) {
    const one = watch();
    clock.now += Math.max(ms, 0);
    one.end("success");
    one.end("error"); // a stream ends once
  }
  const { duration, successRate, activeStreams } = report();
  assert.deepEqual(duration, { count: 100, mean: 50.5, min: 1, max: 100, p50: 50, p90: 90, p99: 99 });
  assert.deepEqual([successRate, activeStreams], [1, 0]);
});
