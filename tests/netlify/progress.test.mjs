// How far an answer is: what is learned, what is told, and how true it was.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createEstimator } from "../../netlify/site/progress.js";
import { applyEvent, beginTurn } from "../../netlify/site/turn.js";

function storage(kept = null) {
  return { kept, getItem: () => kept, setItem(_, value) { this.kept = kept = value; } };
}

/** A turn that took `ms`, and during which `left` was told at each of `at`. */
function finished(ms, estimates = []) {
  const turn = applyEvent(beginTurn("Why?", 0), { type: "final", result: { answer: "a" } }, ms);
  return { ...turn, estimates };
}

test("a few answers teach how long the next one takes", () => {
  const estimator = createEstimator(storage());
  const turn = beginTurn("Why?", 0);
  for (const ms of [9_000, 10_000]) estimator.learn(finished(ms));
  assert.equal(estimator.estimate(turn, 1_000).leftMs, null);
  estimator.learn(finished(11_000));
  assert.equal(estimator.estimate(turn, 4_000).leftMs, 6_000);
  assert.equal(estimator.estimate(turn, 4_000).progress, 0.4);
});

test("an answer that takes longer than any moves on and is never told as done", () => {
  const estimator = createEstimator(storage());
  for (const ms of [1_000, 1_000, 1_000]) estimator.learn(finished(ms));
  const at = [500, 900, 1_500, 5_000, 60_000].map((now) => estimator.estimate(beginTurn("Why?", 0), now).progress);
  assert.deepEqual([...at].sort((a, b) => a - b), at);
  assert.ok(at.at(-1) < 1 && at[2] < at[3]);
});

test("while a connection is cut no time runs on", () => {
  const estimator = createEstimator(storage());
  for (const ms of [9_000, 10_000, 11_000]) estimator.learn(finished(ms));
  const turn = applyEvent(beginTurn("Why?", 0), { type: "cut" }, 1_000);
  assert.deepEqual(estimator.estimate(turn, 4_000), { progress: 0, leftMs: null });
});

test("what the server knows of the time goes before what was learned", () => {
  const estimator = createEstimator(storage());
  for (const ms of [1_000, 1_000, 1_000]) estimator.learn(finished(ms));
  const status = { step: 1, status: "executing", description: "x", etaMs: 8_000 };
  const turn = applyEvent(beginTurn("Why?", 0), { type: "status", status }, 2_000);
  assert.equal(estimator.estimate(turn, 5_000).leftMs, 5_000);
});

test("without a time the words that are there tell, and none stands still while it grows", () => {
  const estimator = createEstimator(storage());
  let turn = beginTurn("Why?", 0);
  let before = 0;
  for (const text of ["a".repeat(50), "b".repeat(400), "c".repeat(4_000)]) {
    turn = applyEvent(turn, { type: "token", text }, 1);
    const { progress } = estimator.estimate(turn, 2);
    assert.ok(progress > before && progress < 1);
    before = progress;
  }
});

test("how wrong the time left was, half-way, is measured", () => {
  const estimator = createEstimator(storage());
  assert.equal(estimator.error(), null);
  estimator.learn(finished(10_000, [{ at: 1_000, left: 1 }, { at: 5_000, left: 6_000 }, { at: 9_000, left: 9 }]));
  assert.equal(estimator.error(), 0.1);
});

test("nothing is learned from what failed, nor from another program's storage", () => {
  const kept = storage();
  createEstimator(kept).learn({ ...finished(10), phase: "failed" });
  assert.equal(kept.kept, null);
  for (const nonsense of ["{", "null", "5", '[{"ms": "1"}]', "[null]"]) {
    assert.equal(createEstimator(storage(nonsense)).error(), null);
  }
});
