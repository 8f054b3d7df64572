// What a component shows of an answer, against a real server.
import assert from "node:assert/strict";
import { test } from "node:test";

import { cutAfter, final, frame, hasty, reply, serve, status, streamed, token, whole, TYPE } from "./scripted.mjs";
import { act, forget, stage } from "./stage.mjs";

test("a question is asked once, and its answer shown as it comes", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const view = stage({ endpoint });
    await view.mount();
    assert.deepEqual([view.shown.isStreaming, view.shown.answer, view.shown.error], [false, "", null]);
    await act(() => {
      view.shown.start("Why?");
      view.shown.start("Why?"); // a double click
    });
    assert.equal(view.shown.isStreaming, true);
    const { answer, status: last, steps, result, error, runId } = await view.until((now) => now.result);
    assert.deepEqual([answer, last, steps, result, error, runId], ["ab", status.status, [status.status], final.result, null, "run"]);
    assert.equal(view.shown.isStreaming, false);
    assert.equal(seen.length, 1);
    await view.unmount();
  });
});

test("CR06: an answer survives its component, and there is one stream for it", async () => {
  let more;
  const slow = (response) => {
    response.writeHead(200, TYPE).write(frame(1, status) + frame(2, token("a")));
    more = () => response.end(frame(3, token("b")) + frame(4, final));
  };
  await serve([slow], async ({ endpoint, seen }) => {
    const [one, two] = [stage({ id: "x", endpoint }), stage({ id: "x", endpoint })];
    await one.mount();
    await two.mount();
    await act(() => one.shown.start("Why?"));
    await two.until((now) => now.answer === "a");
    await act(() => two.shown.start("Why?"));
    await one.hide();
    await act(() => more());
    await two.until((now) => now.result);
    await one.mount();
    assert.deepEqual([one.shown.answer, one.shown.isStreaming], ["ab", false]);
    assert.equal(seen.length, 1);
    await one.unmount();
    await two.unmount();
    forget("x");
  });
});

test("stop is told to the server", async () => {
  const cancelled = { type: "error", error: "Stopped.", code: "cancelled", retryable: true };
  const stoppable = (response, server) => {
    response.writeHead(200, TYPE).write(frame(1, token("a")));
    server.once("stopped", () => response.end(frame(2, cancelled)));
  };
  await serve([stoppable], async ({ endpoint, stops }) => {
    const view = stage({ endpoint });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.answer === "a");
    await act(() => view.shown.stop());
    const { error, answer } = await view.until((now) => !now.isStreaming);
    assert.deepEqual([error.code, answer, stops.length], ["cancelled", "a", 1]);
    await view.unmount();
  });
});

test("what failed is resumed where it broke off", async () => {
  const gone = reply(503, null);
  const answers = [cutAfter(frame(1, status) + frame(2, token("a"))), gone, gone, streamed(frame(3, token("b")) + frame(4, final))];
  await serve(answers, async ({ endpoint, seen }) => {
    const view = stage({ endpoint, retryPolicy: { maxRetries: 2 }, environment: hasty() });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    const { error } = await view.until((now) => now.error);
    assert.deepEqual([error.retryable, error.cursor, view.shown.answer], [true, "run-2", "a"]);
    await act(() => view.shown.resume());
    assert.equal(view.shown.isStreaming, true);
    const { answer } = await view.until((now) => now.result);
    assert.equal(answer, "ab");
    assert.equal(seen.at(-1).url, "/api/chat/runs/run/events?after=2&resume=1");
    await view.unmount();
  });
});

test("a run is shown from its beginning by its id", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const view = stage({ endpoint });
    await view.mount();
    await act(() => view.shown.resume("run"));
    assert.equal((await view.until((now) => now.result)).answer, "ab");
    assert.equal(seen[0].url, "/api/chat/runs/run/events?after=0&resume=1");
    await view.unmount();
  });
});

test("another question stops the one before, which is not heard any more", async () => {
  const slow = (response) => response.writeHead(200, { ...TYPE, "X-Run-Id": "old" }).write(frame(1, token("old"), "old"));
  await serve([slow, streamed(whole)], async ({ endpoint, stops }) => {
    const view = stage({ endpoint, retryPolicy: { grace: 20 } });
    await view.mount();
    await act(() => view.shown.start("Old?"));
    await view.until((now) => now.answer === "old");
    await act(() => view.shown.start("New?"));
    assert.equal((await view.until((now) => now.result)).answer, "ab");
    await act(() => new Promise((resolve) => setTimeout(resolve, 50)));
    assert.deepEqual([view.shown.error, view.shown.query, stops], [null, "New?", ["/api/chat/runs/old/stop"]]);
    await view.unmount();
  });
});
