// What events make of a turn, the well-formed ones and the others.
import assert from "node:assert/strict";
import { test } from "node:test";

import { applyEvent, beginTurn, failTurn } from "../../netlify/site/turn.js";

const after = (...events) =>
  events.reduce((turn, event, at) => applyEvent(turn, event, 100 * (at + 1)), beginTurn("Why?", 0));
const status = (step, state, more = {}) => ({
  type: "status",
  status: { step, status: state, description: `step ${step}`, timestamp: 0, ...more },
});
const token = (text) => ({ type: "token", text });
const final = (more = {}) => ({ type: "final", result: { answer: "whole", success: true, finishReason: "stop", ...more } });

test("tokens add up, and the first one is timed", () => {
  const turn = after({ type: "open" }, token(""), token("a"), token("b"));
  assert.deepEqual([turn.answer, turn.phase, turn.firstTokenAt], ["ab", "answering", 300]);
});

test("a final answer replaces what the tokens said", () => {
  const turn = after(token("par"), final({ sessionId: "s", usage: { inputTokens: 1, outputTokens: 2 } }));
  assert.deepEqual([turn.answer, turn.phase, turn.sessionId, turn.progress], ["whole", "done", "s", 1]);
  assert.deepEqual(turn.usage, { inputTokens: 1, outputTokens: 2 });
  assert.equal(turn.endedAt, 200);
});

test("a reset drops the tokens shown so far", () => {
  assert.equal(after(token("wrong"), { type: "reset", reason: "retry" }, token("right")).answer, "right");
});

test("a step is one line, timed by the server's own clock", () => {
  const turn = after(
    status(2, "executing", { timestamp: 5_000 }),
    status(1, "executing", { timestamp: 1_000 }),
    status(1, "completed", { timestamp: 1_250, description: "found" }),
  );
  assert.deepEqual(
    turn.steps.map(({ number, state, ms, description }) => [number, state, ms, description]),
    [[1, "completed", 250, "found"], [2, "executing", null, "step 2"]],
  );
});

test("a step known only by its end takes the time the server gives", () => {
  assert.equal(after(status(1, "completed", { elapsedMs: 40 })).steps[0].ms, 40);
});

test("no step works on after the end", () => {
  const states = (event) => after(status(1, "executing"), event).steps[0].state;
  assert.equal(states(final()), "completed");
  assert.equal(states({ type: "error", error: "no" }), "failed");
  assert.equal(states({ type: "error", error: "Stopped.", code: "cancelled" }), "stopped");
});

test("progress never flows back", () => {
  const turn = after(status(1, "executing", { progress: 0.6 }), status(2, "executing", { progress: 0.2 }));
  assert.equal(turn.progress, 0.6);
});

test("without a progress the finished steps are counted", () => {
  assert.equal(after(status(1, "completed", { totalSteps: 4 })).progress, 0.25);
});

test("a failure keeps the text that was shown, or the longer one the server knows", () => {
  const error = (answer) => ({ type: "error", error: "no", code: "deadline", partial: { answer } });
  assert.equal(after(token("abc"), error("ab")).answer, "abc");
  assert.equal(after(token("abc"), error("abcd")).answer, "abcd");
  assert.equal(after(token("abc"), { type: "error", error: "no" }).answer, "abc");
});

test("a cancelled run is stopped, not failed and not done", () => {
  for (const end of [final({ finishReason: "cancelled" }), { type: "error", error: "x", code: "cancelled" }, { type: "error", error: "Stopped.", code: "cancelled" }]) {
    const turn = after(token("a"), end);
    assert.deepEqual([turn.phase, turn.problem], ["stopped", null]);
  }
});

test("a trimmed final does not take a passage away that was shown", () => {
  const source = { id: "1", title: "T", uri: "u", score: 0.5, snippet: "passage" };
  const turn = after({ type: "sources", sources: [source] }, final({ sources: [{ ...source, snippet: "" }] }));
  assert.equal(turn.sources[0].snippet, "passage");
});

test("a refusal ends a turn as an error event does", () => {
  const turn = failTurn(beginTurn("Why?", 0), { message: "No.", code: "rate_limited", retryAfterMs: 5 }, 9);
  assert.deepEqual([turn.phase, turn.problem.message, turn.problem.retryAfterMs], ["failed", "No.", 5]);
});

test("nothing changes a turn that has ended", () => {
  const ended = after(token("a"), final());
  assert.equal(applyEvent(ended, token("b"), 1), ended);
  assert.equal(applyEvent(ended, { type: "error", error: "late" }, 1), ended);
});

test("unknown and misshapen events do no harm", () => {
  const odd = [null, 1, "x", [], {}, undefined];
  const types = ["status", "token", "sources", "usage", "notice", "reset", "paused", "constructor", "__proto__", "toString"];
  for (const type of types) {
    for (const value of odd) {
      const turn = after({ type, status: value, text: value, sources: value, usage: value, message: value, result: value });
      assert.equal(typeof turn.answer, "string");
      assert.ok(turn.steps.length === 0 && turn.sources.every((source) => typeof source.title === "string"));
    }
  }
  for (const value of odd) {
    assert.equal(after({ type: "final", result: value }).phase, "done");
    assert.equal(after({ type: "error", error: value, partial: value }).phase, "failed");
  }
});

test("an answer under another session has forgotten the earlier questions", () => {
  const asked = (asks, sessionId) =>
    applyEvent({ ...beginTurn("Why?", 0), asks }, final({ sessionId }), 1).isForgotten;
  assert.deepEqual([asked("", "a"), asked("a", "a"), asked("a", "b")], [false, false, true]);
});

test("only quotes that lie in order and within a passage are taken", () => {
  const quotes = [[0, 4], [4, 2], [-1, 3], ["0", 1], null, [1.5, 3]];
  const turn = after({ type: "sources", sources: [{ title: "T", text: "whole text", quotes }] });
  assert.deepEqual(turn.sources[0].quotes, [[0, 4]]);
});

test("a break lasts until the answer goes on, not until there is a connection", () => {
  const link = (...events) => after({ type: "open" }, ...events).link;
  assert.equal(link(token("a"), { type: "cut" }, { type: "open" }), "cut");
  assert.equal(link(token("a"), { type: "cut" }, { type: "open" }, token("b")), "open");
  assert.equal(link(token("a"), { type: "cut" }, { type: "open" }, final()), "open");
  assert.equal(link({ type: "cut" }, { type: "open" }), "open"); // nothing had come that could go on
});
