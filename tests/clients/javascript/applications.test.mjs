// What real applications do with the hook: effects, StrictMode, bursts, people who come and go.
import assert from "node:assert/strict";
import { test } from "node:test";

import { RiverrunError } from "../../../clients/javascript/src/errors.js";
import { TYPE, cutAfter, final, frame, hasty, reply, serve, status, streamed, token, whole } from "./scripted.mjs";
import { React, act, forget, stage } from "./stage.mjs";

const { useEffect, useState } = React;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const cancelled = { type: "final", result: { answer: "a", finishReason: "cancelled" } };

/** A run that says `a` and then waits to be stopped. */
const stoppable = (response, server) => {
  response.writeHead(200, TYPE).write(frame(1, token("a")));
  server.once("stopped", () => response.end(frame(2, cancelled)));
};

test("StrictMode: an effect that starts and a clean-up that stops ask once and show the answer", async () => {
  for (const id of [undefined, "strict"]) {
    await serve([streamed(whole)], async ({ endpoint, seen, stops }) => {
      const use = ({ start, stop }) =>
        useEffect(() => {
          start("Why?");
          return () => void stop();
        }, []);
      const view = stage({ endpoint, id }, { use });
      await view.mount();
      const { answer, error } = await view.until((now) => now.result || now.error);
      assert.deepEqual([answer, error, seen.length, stops.length], ["ab", null, 1, 0]);
      await view.unmount();
      if (id) forget(id);
    });
  }
});

test("an effect that starts as the options change asks with the new ones", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    let sessionId = "one";
    const use = ({ start }) => useEffect(() => start("Why?"), [sessionId]);
    const view = stage(() => ({ endpoint, sessionId }), { use });
    await view.mount();
    await view.until((now) => now.result);
    sessionId = "two";
    await view.mount();
    await view.until((now) => now.isStreaming === false && seen.length === 2);
    assert.deepEqual(seen.map(({ body }) => JSON.parse(body).sessionId), ["one", "two"]);
    await view.unmount();
  });
});

test("regenerate: stop and then the same question again asks again at once", async () => {
  await serve([stoppable, streamed(whole)], async ({ endpoint, seen, stops }) => {
    const view = stage({ endpoint });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.answer === "a");
    await act(() => {
      void view.shown.stop();
      view.shown.start("Why?");
    });
    assert.deepEqual([view.shown.isStreaming, view.shown.answer], [true, ""]);
    assert.equal((await view.until((now) => now.result)).answer, "ab");
    assert.notEqual(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
    assert.equal(stops.length, 1);
    await view.unmount();
  });
});

test("stop shows that it is being told, until it is", async () => {
  let accept;
  const slow = (response) => (accept = () => response.writeHead(202).end());
  await serve(
    [stoppable],
    async ({ endpoint }) => {
      const view = stage({ endpoint, retryPolicy: { grace: 20 } });
      await view.mount();
      await act(() => view.shown.start("Why?"));
      await view.until((now) => now.answer === "a");
      await act(() => void view.shown.stop());
      await view.until((now) => now.isStopping && now.isStreaming && accept);
      await pause(100); // longer than the grace
      assert.equal(view.shown.isStreaming, true, "nothing is called stopped yet");
      accept();
      const { error, isStopping } = await view.until((now) => !now.isStreaming);
      assert.deepEqual([error.code, isStopping], ["cancelled", false]);
      await view.unmount();
    },
    [slow],
  );
});

test("what could not be stopped can be told to stop again", async () => {
  const accept = (response) => response.writeHead(202).end();
  await serve(
    [stoppable],
    async ({ endpoint, stops }) => {
      const view = stage({ endpoint });
      await view.mount();
      assert.equal(await view.shown.stop(), false);
      await act(() => view.shown.start("Why?"));
      await view.until((now) => now.answer === "a");
      await act(() => view.shown.stop());
      const { error, isStopping } = await view.until((now) => now.error);
      assert.deepEqual([error.code, isStopping, stops.length], ["not_stopped", false, 1]);
      assert.equal(await view.shown.stop(), true);
      assert.equal(stops.length, 2);
      await view.unmount();
    },
    [reply(403, { error: "No.", code: "forbidden" }), accept],
  );
});

test("start from onComplete and from onError is heard", async () => {
  const refused = reply(422, { error: "No.", code: "validation_error" });
  await serve([streamed(whole), refused, streamed(whole)], async ({ endpoint, seen }) => {
    let asks = 1;
    const again = () => asks++ < 3 && view.shown.start("Why?");
    const view = stage({ endpoint, onComplete: again, onError: again });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.result && seen.length === 3);
    await view.unmount();
  });
});

test("a burst of 150 tokens is few renderings, and an ordinary effect on the answer is no loop", async (context) => {
  const tokens = Array.from({ length: 150 }, (_, at) => frame(at + 1, token("x"))).join("");
  const complaints = context.mock.method(console, "error", () => {});
  await serve([streamed(tokens + frame(151, { ...final, result: { ...final.result, answer: "x".repeat(150) } }))], async ({ endpoint }) => {
    globalThis.IS_REACT_ACT_ENVIRONMENT = false; // as in a browser: nothing is batched for a test
    const sizes = [];
    const use = ({ answer }) => {
      const [, setLength] = useState(0);
      useEffect(() => {
        sizes.push(answer.length);
        setLength(answer.length);
      }, [answer]);
    };
    const view = stage({ endpoint }, { use, strict: false });
    view.render();
    await pause(30);
    view.shown.resume("run");
    for (let n = 0; n < 200 && !view.shown.result; n += 1) await pause(5);
    assert.equal(view.shown.answer.length, 150);
    assert.ok(sizes.length < 40, `${sizes.length} effects`);
    assert.deepEqual(complaints.mock.calls, []);
    globalThis.IS_REACT_ACT_ENVIRONMENT = true;
    await view.unmount();
  });
});

test("what a callback throws ends neither the reading nor the next answer", async (context) => {
  const complaints = context.mock.method(console, "error", () => {});
  await serve([streamed(whole)], async ({ endpoint }) => {
    const onToken = () => {
      throw new TypeError("oops");
    };
    const view = stage({ endpoint, onToken });
    await view.mount();
    for (const query of ["One?", "Two?"]) {
      await act(() => view.shown.start(query));
      assert.equal((await view.until((now) => now.result && now.query === query)).answer, "ab");
    }
    assert.equal(complaints.mock.calls.length, 4);
    await view.unmount();
  });
});

test("resume sends what start sent: the same key with the same body, headers, address and callbacks", async () => {
  const lost = (response) => response.destroy();
  await serve([lost, lost, lost, lost, streamed(whole)], async ({ endpoint, seen }) => {
    const heard = [];
    const view = stage({ environment: hasty(), sessionId: "base" });
    await view.mount();
    const more = { endpoint, sessionId: "s", topK: 3, metadata: { a: "b" }, headers: { "X-Mine": "1" }, onToken: (text) => heard.push(text) };
    await act(() => view.shown.start("Why?", more));
    await view.until((now) => now.error);
    await act(() => view.shown.resume());
    assert.equal((await view.until((now) => now.result)).answer, "ab");
    assert.equal(new Set(seen.map(({ body, headers }) => JSON.stringify([body, headers["idempotency-key"], headers["x-mine"]]))).size, 1);
    assert.deepEqual([JSON.parse(seen[4].body).sessionId, heard], ["s", ["a", "b"]]);
    await view.unmount();
  });
});

test("options that changed since do not change a question that is resumed", async () => {
  const lost = (response) => response.destroy();
  await serve([lost, lost, lost, lost, streamed(whole)], async ({ endpoint, seen }) => {
    let sessionId = "before";
    const view = stage(() => ({ endpoint, environment: hasty(), sessionId }));
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.error);
    sessionId = "after";
    await view.mount();
    await act(() => view.shown.resume());
    await view.until((now) => now.result);
    assert.equal(new Set(seen.map(({ body }) => body)).size, 1);
    await view.unmount();
  });
});

test("resume where there is nothing asks nothing, before and after an answer", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const view = stage({ endpoint });
    await view.mount();
    await act(() => view.shown.resume());
    assert.deepEqual([view.shown.isStreaming, seen.length], [false, 0]);
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.result);
    await act(() => view.shown.resume());
    assert.deepEqual([view.shown.isStreaming, seen.length], [false, 1]);
    await view.unmount();
  });
});

test("an aborted signal ends the reading without an error, and resume reads on", async () => {
  const slow = (response) => response.writeHead(200, TYPE).write(frame(1, token("a")));
  await serve([slow, streamed(frame(2, token("b")) + frame(3, final))], async ({ endpoint, stops }) => {
    const leaving = new AbortController();
    const view = stage({ endpoint });
    await view.mount();
    await act(() => view.shown.start("Why?", { signal: leaving.signal }));
    await view.until((now) => now.answer === "a");
    leaving.abort();
    const { error } = await view.until((now) => !now.isStreaming);
    assert.equal(error, null);
    await act(() => view.shown.resume());
    assert.equal((await view.until((now) => now.result)).answer, "ab");
    assert.equal(stops.length, 0);
    await view.unmount();
  });
});

test("the next person asks under their own token, and each rendering's callbacks are called", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    for (const id of [undefined, "shared"]) {
      let person = "first";
      const heard = [];
      const view = stage(() => ({
        id,
        endpoint,
        onComplete: heard.push.bind(heard, person),
        ...(person && { headers: { Authorization: `Bearer ${person}` } }),
      }));
      await view.mount();
      for (person of ["first", "", "second"]) {
        await view.mount();
        await act(() => view.shown.start(`I am ${person}`));
        await view.until((now) => now.result && now.query === `I am ${person}`);
        assert.equal(seen.at(-1).headers.authorization, person ? `Bearer ${person}` : undefined);
      }
      assert.deepEqual(heard.filter((one) => typeof one === "string"), ["first", "", "second"]);
      await view.unmount();
      if (id) forget(id);
    }
  });
});

test("forget empties what is shown, for the next person", async () => {
  await serve([streamed(whole)], async ({ endpoint }) => {
    const view = stage({ id: "mine", endpoint });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.result);
    await act(() => forget("mine"));
    assert.deepEqual([view.shown.answer, view.shown.result, view.shown.query], ["", null, ""]);
    await view.unmount();
  });
});

test("a hook without an id closes its connection when it unmounts, and stops nothing", { timeout: 60_000 }, async () => {
  let left;
  const gone = new Promise((resolve) => (left = resolve));
  const lingering = (response) => {
    response.on("close", left);
    response.writeHead(200, TYPE).write(frame(1, token("a")));
  };
  await serve([lingering], async ({ endpoint, seen, stops }) => {
    const view = stage({ endpoint });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.answer === "a");
    await view.unmount();
    await gone;
    assert.deepEqual([seen.length, stops.length], [1, 0]);
  });
});

test("a hidden part of a page closes its connection, and reads on when it is shown again", { timeout: 60_000 }, async () => {
  let left;
  const gone = new Promise((resolve) => (left = resolve));
  const lingering = (response) => {
    response.on("close", left);
    response.writeHead(200, TYPE).write(frame(1, token("a")));
  };
  await serve([lingering, streamed(frame(2, token("b")) + frame(3, final))], async ({ endpoint, seen }) => {
    let mode = "visible";
    const view = stage({ endpoint }, { wrap: (tree) => React.createElement(React.Activity, { mode }, tree) });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    await view.until((now) => now.answer === "a");
    mode = "hidden";
    await view.mount();
    await gone;
    mode = "visible";
    await view.mount();
    assert.equal((await view.until((now) => now.result)).answer, "ab");
    assert.equal(seen[1].url, "/api/chat/runs/run/events?after=1&resume=1");
    await view.unmount();
  });
});

test("what was replaced calls no callback, and its error is not shown", async () => {
  const slow = (response, server) => {
    response.writeHead(200, { ...TYPE, "X-Run-Id": "old" }).write(frame(1, token("old"), "old"));
    server.once("stopped", () => response.end(frame(2, token("late"), "old") + frame(3, cancelled, "old")));
  };
  await serve([slow, streamed(whole)], async ({ endpoint }) => {
    const heard = [];
    const view = stage({ endpoint, onToken: (text) => heard.push(text), onError: (error) => heard.push(error.code) });
    await view.mount();
    await act(() => view.shown.start("Old?"));
    await view.until((now) => now.answer === "old");
    await act(() => view.shown.start("New?"));
    await view.until((now) => now.result);
    await act(() => pause(50));
    assert.deepEqual(heard, ["old", "a", "b"]);
    await view.unmount();
  });
});

test("what the hook gives is an error of the client's, whatever happened", async () => {
  await serve([cutAfter(frame(1, status)), reply(401, { error: "Who?", code: "unauthorized" })], async ({ endpoint }) => {
    const view = stage({ endpoint, environment: hasty(), headers: () => ({}) });
    await view.mount();
    await act(() => view.shown.start("Why?"));
    const { error, isStreaming } = await view.until((now) => now.error);
    assert.deepEqual([error instanceof RiverrunError, error.code, isStreaming], [true, "unauthorized", false]);
    await view.unmount();
  });
});

