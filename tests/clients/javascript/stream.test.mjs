// One run over as many connections as it takes, against a real server that breaks on purpose.
// CR01 to CR07 are the rows of the list of what a client must survive.
import assert from "node:assert/strict";
import { test } from "node:test";

import { RiverrunError, join, stream } from "../../../clients/javascript/src/index.js";
import { TYPE, cutAfter, everything, final, frame, hasty, reply, serve, status, still, streamed, token, whole } from "./scripted.mjs";

/** Read a run to its end; `waits` are the pauses it took, none of which is slept. */
async function read(endpoint, { each, ...options } = {}) {
  const waits = [];
  const said = [];
  const onRetry = ({ waitMs }) => waits.push(waitMs);
  const run = stream("Why?", { endpoint, environment: hasty(), onRetry, ...options });
  for await (const event of run) {
    said.push(event);
    each?.(event, run);
  }
  return { said, waits, run };
}

test("a question goes out as the contract says", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const { said } = await read(endpoint, { sessionId: "s" });
    assert.deepEqual(said, everything);
    assert.equal(seen[0].method, "POST");
    assert.deepEqual(JSON.parse(seen[0].body), { query: "Why?", streaming: true, resume: true, sessionId: "s" });
    assert.match(seen[0].headers["idempotency-key"], /^[0-9a-f-]{36}$/);
    assert.equal(seen[0].headers.accept, "text/event-stream");
  });
});

test("cut at any byte, a run is resumed and nothing is said twice or lost", async () => {
  for (let cut = 0; cut < whole.length; cut += 1) {
    const seqs = [...whole.slice(0, cut).matchAll(/id: run-(\d+)\ndata: [^\n]*\n\n/g)].map((match) => match[1]);
    const last = Number(seqs.at(-1) ?? 0);
    const rest = everything.map((event, at) => frame(at + 1, event)).slice(last).join("");
    await serve([cutAfter(whole.slice(0, cut)), streamed(rest)], async ({ endpoint, seen }) => {
      const { said } = await read(endpoint);
      assert.deepEqual(said, everything, `cut at ${cut}`);
      if (last > 0) assert.deepEqual([seen[1].method, seen[1].url], ["GET", `/api/chat/runs/run/events?after=${last}&resume=1`]);
      else assert.equal(seen[1].headers["idempotency-key"], seen[0].headers["idempotency-key"]);
    });
  }
});

test("CR01: a clean end without a last event is an interruption, never a success", async () => {
  await serve([streamed(frame(1, token("a"))), streamed("")], async ({ endpoint, seen }) => {
    const reading = read(endpoint);
    await assert.rejects(reading, (error) => error instanceof RiverrunError && error.code === "interrupted" && error.retryable && error.partial.answer === "a" && error.cursor === "run-1");
    assert.equal(seen.length, 10, "one question and nine failed tries to read on");
  });
});

test("CR04: a stream's own reconnection time is kept within bounds", async () => {
  const bounds = [[0, 100], [1, 100], [3000, 3000], [60_000, 30_000], ["9".repeat(400), 30_000]];
  for (const [retry, first] of bounds) {
    await serve([streamed(`retry: ${retry}\n\n`), streamed(whole)], async ({ endpoint }) => {
      const { waits } = await read(endpoint, { environment: { ...hasty(), random: () => 1 } });
      assert.deepEqual(waits, [first], `retry: ${retry}`);
    });
  }
});

test("CR04: waits grow, with jitter, to at most thirty seconds", async () => {
  await serve([streamed("retry: 3000\n\n")], async ({ endpoint }) => {
    const waits = [];
    const environment = { ...hasty(), random: () => 1 };
    const reading = read(endpoint, { environment, onRetry: ({ waitMs }) => waits.push(waitMs) });
    await assert.rejects(reading, RiverrunError);
    assert.deepEqual(waits, [3_000, 6_000, 12_000, 24_000, 30_000, 30_000, 30_000, 30_000, 30_000]);
  });
});

test("an attempt that brings an event starts the count of failed tries again", async () => {
  const drops = Array.from({ length: 12 }, (_, at) => cutAfter(frame(at + 1, token("x"))));
  await serve([...drops, streamed(frame(13, final))], async ({ endpoint }) => {
    const { said } = await read(endpoint);
    assert.equal(said.length, 13);
  });
});

test("CR05: events seen before are dropped", async () => {
  await serve([cutAfter(whole.slice(0, whole.indexOf("id: run-3"))), streamed(whole)], async ({ endpoint }) => {
    assert.deepEqual((await read(endpoint)).said, everything);
  });
});

test("CR05: a gap, nonsense or a foreign run is not shown: the run is read again", async () => {
  const first = frame(1, status);
  const rest = whole.slice(first.length);
  for (const bad of [frame(3, token("b")), "id: run-2\ndata: {oops\n\n", "id: run-2\ndata: 5\n\n", frame(2, token("z"), "other")]) {
    await serve([streamed(first + bad), streamed(rest)], async ({ endpoint, seen }) => {
      assert.deepEqual((await read(endpoint)).said, everything);
      assert.equal(seen[1].url, "/api/chat/runs/run/events?after=1&resume=1");
    });
  }
});

test("an event without an id is passed on", async () => {
  await serve([streamed(`data: ${JSON.stringify(final)}\n\n`)], async ({ endpoint }) => {
    assert.deepEqual((await read(endpoint)).said, [final]);
  });
});

test("CR02: after the last event the connection is left and nothing more is asked", async () => {
  let left;
  const gone = new Promise((resolve) => (left = resolve));
  const lingering = (response) => {
    response.on("close", left);
    response.writeHead(200, TYPE).write(whole + frame(5, token("late")));
  };
  await serve([lingering], async ({ endpoint, seen }) => {
    assert.deepEqual((await read(endpoint)).said, everything);
    await gone;
    assert.equal(seen.length, 1);
  });
});

test("a server that says no is quoted, and not asked again", async () => {
  const body = { error: "Ask something shorter.", code: "validation_error", retryable: false, details: [{ field: "query", message: "At most 8000." }] };
  await serve([reply(422, body)], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => {
      assert.deepEqual([error.message, error.code, error.retryable, error.hint], ["Ask something shorter.", "validation_error", false, "At most 8000."]);
      return true;
    });
    assert.equal(seen.length, 1);
  });
});

test("CR03: a busy server is asked again when it says, and quoted when no try is left", async () => {
  const busy = reply(503, { error: "Busy.", code: "overloaded", retryable: true }, { "Retry-After": "2" });
  await serve([busy, streamed(whole)], async ({ endpoint }) => {
    const { said, waits } = await read(endpoint);
    assert.deepEqual([said, waits], [everything, [2_000]]);
  });
  await serve([busy], async ({ endpoint }) => {
    await assert.rejects(read(endpoint), (error) => error.message === "Busy." && error.code === "overloaded");
  });
});

test("CR03: a wait longer than two minutes is the person's to decide", async () => {
  const limited = reply(429, { error: "Later.", code: "rate_limited", retryable: true, retryAfterMs: 180_000 });
  await serve([limited], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.retryAfterMs === 180_000);
    assert.equal(seen.length, 1);
  });
});

test("a spent budget is not tried again", async () => {
  await serve([reply(429, { error: "Spent.", code: "budget_exceeded", retryable: false })], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "budget_exceeded");
    assert.equal(seen.length, 1);
  });
});

test("CR03: a page, a redirect and an empty answer are refused", async () => {
  const odd = [
    (response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<p>hello"),
    (response) => response.writeHead(302, { Location: "/elsewhere" }).end(),
    (response) => response.writeHead(200, { "Content-Type": "text/event-stream-bogus" }).end(whole),
    (response) => response.writeHead(204).end(),
  ];
  for (const answer of odd) {
    await serve([answer], async ({ endpoint, seen }) => {
      await assert.rejects(read(endpoint), RiverrunError);
      assert.equal(seen.length, 1);
    });
  }
});

test("CR03: a run that is gone when it is resumed is given up", async () => {
  const gone = reply(410, { error: "This run has expired.", code: "expired", retryable: false });
  await serve([cutAfter(frame(1, token("a"))), gone], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "expired");
    assert.equal(seen.length, 2);
  });
});

test("an error page without JSON is still an error with a code", async () => {
  await serve([(response) => response.writeHead(500).end("boom")], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "http_500" && error.retryable);
    assert.equal(seen.length, 4, "something in front of the server may have failed");
  });
});

test("a server that is not there is tried, then given up in words", async () => {
  let endpoint;
  await serve([streamed(whole)], async (server) => ({ endpoint } = server));
  await assert.rejects(read(endpoint), (error) => error.code === "unreachable" && error.retryable);
});

test("CR07: a silent connection is left and resumed", { timeout: 60_000 }, async () => {
  const silent = (response) => response.writeHead(200, TYPE).write(frame(1, status));
  const environment = still();
  await serve([silent, streamed(whole.slice(frame(1, status).length))], async ({ endpoint, seen }) => {
    const each = (event) => event.type === "status" && setImmediate(environment.pass);
    assert.deepEqual((await read(endpoint, { environment, each })).said, everything);
    assert.match(seen[1].url, /after=1/);
  });
});

test("a ping keeps a quiet connection alive", { timeout: 60_000 }, async () => {
  const environment = still();
  const pinging = (response) => {
    response.writeHead(200, TYPE).write(frame(1, status));
    let pings = 0;
    // The next one is sent when the last one has begun the silence anew.
    environment.onSilence = () => {
      pings += 1;
      if (pings < 12) response.write(": ping\n");
      else if (pings === 12) response.end(whole.slice(frame(1, status).length));
    };
  };
  await serve([pinging], async ({ endpoint, seen }) => {
    assert.deepEqual((await read(endpoint, { environment })).said, everything);
    assert.equal(seen.length, 1);
  });
});

test("stop is told to the server, which has the last word", async () => {
  const cancelled = { type: "final", result: { answer: "a", finishReason: "cancelled" } };
  const stoppable = (response, server) => {
    response.writeHead(200, TYPE).write(frame(1, token("a")));
    server.once("stopped", () => response.end(frame(2, cancelled)));
  };
  await serve([stoppable], async ({ endpoint, stops }) => {
    const each = (event, run) => event.type === "token" && run.stop();
    const { said } = await read(endpoint, { each });
    assert.deepEqual(said, [token("a"), cancelled]);
    assert.deepEqual(stops, ["/api/chat/runs/run/stop"]);
  });
});

test("a stopped run that says nothing more ends all the same", async () => {
  const deaf = (response) => response.writeHead(200, TYPE).write(frame(1, token("a")));
  await serve([deaf], async ({ endpoint, seen, stops }) => {
    const each = (event, run) => event.type === "token" && run.stop();
    const reading = read(endpoint, { each, retryPolicy: { grace: 40 }, environment: hasty(40) });
    await assert.rejects(reading, (error) => error.code === "cancelled" && error.partial.answer === "a");
    assert.deepEqual([seen.length, stops.length], [1, 1]);
  });
});

test("stop before the run has a name is told as soon as it has one", async () => {
  let named;
  const slow = (response, server) => {
    named = () => response.writeHead(200, TYPE).write(": hello\n");
    server.once("stopped", () => response.end(frame(1, final)));
    asked();
  };
  let asked;
  const heard = new Promise((resolve) => (asked = resolve));
  await serve([slow], async ({ endpoint, stops }) => {
    const run = stream("Why?", { endpoint });
    const events = run[Symbol.asyncIterator]();
    const first = events.next();
    await heard;
    const stopped = run.stop();
    assert.equal(stops.length, 0);
    named();
    assert.equal(await stopped, true);
    assert.deepEqual((await first).value, final);
    assert.equal((await events.next()).done, true);
    assert.equal(stops.length, 1);
  });
});

test("stop while waiting to reconnect ends the wait", { timeout: 60_000 }, async () => {
  const cancelled = { type: "error", error: "Stopped.", code: "cancelled", retryable: true };
  await serve([cutAfter(frame(1, token("a"))), streamed(frame(2, cancelled))], async ({ endpoint, stops }) => {
    const run = stream("Why?", { endpoint, environment: { random: () => 1 }, retryPolicy: { firstWait: 30_000 }, onRetry: () => setImmediate(() => run.stop()) });
    await assert.rejects(run.result, (error) => error.code === "cancelled");
    assert.equal(stops.length, 1);
  });
});

test("a reader that leaves closes the connection and stops nothing", async () => {
  let left;
  const gone = new Promise((resolve) => (left = resolve));
  const endless = (response) => {
    response.on("close", left);
    response.writeHead(200, TYPE).write(frame(1, token("a")));
  };
  await serve([endless], async ({ endpoint, stops }) => {
    for await (const event of stream("Why?", { endpoint })) if (event.type === "token") break;
    await gone;
    assert.equal(stops.length, 0);
  });
});

test("CR02: after the terminal event nothing is asked in the next minute", async () => {
  for (const end of [final, { type: "error", error: "No.", code: "internal", retryable: false }]) {
    await serve([streamed(frame(1, end))], async ({ endpoint, seen }) => {
      const timers = new Set();
      const environment = {
        timer(run) {
          timers.add(run);
          return () => timers.delete(run);
        },
      };
      const run = stream("Why?", { endpoint, environment });
      await run.result.catch(() => {});
      assert.equal(timers.size, 0, "no timer is left that could ask");
      assert.equal(await run.stop(), false);
      assert.equal(seen.length, 1);
    });
  }
});

test("CR03: the table of statuses", async () => {
  const ok = streamed(whole);
  const passes = [[503], [502], [504], [429, { "Retry-After": "1" }], [500], [408], [425]];
  for (const [code, headers] of passes) {
    await serve([reply(code, null, headers), ok], async ({ endpoint, seen }) => {
      assert.deepEqual((await read(endpoint)).said, everything, `${code} passes`);
      assert.equal(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
    });
  }
  for (const code of [400, 403, 404, 405, 406, 409, 410, 413, 414, 415, 422]) {
    await serve([reply(code, { error: "No.", code: "said", retryable: false })], async ({ endpoint, seen }) => {
      await assert.rejects(read(endpoint), (error) => error.status === code && error.code === "said" && !error.retryable);
      assert.equal(seen.length, 1, `${code} is final`);
    });
  }
  const own = [
    [(response) => response.writeHead(204).end(), "ended"],
    [(response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<p>"), "not_a_stream"],
    [(response) => response.writeHead(202, TYPE).end("data: x\n\n"), "not_a_stream"],
    [(response) => response.writeHead(302, { Location: "/x" }).end(), "redirected"],
  ];
  for (const [answer, code] of own) {
    await serve([cutAfter(frame(1, status)), answer], async ({ endpoint, seen }) => {
      await assert.rejects(read(endpoint), (error) => error.code === code && error.cursor === "run-1");
      assert.equal(seen.length, 2);
    });
  }
});

test("CR03: a refused key is renewed once", async () => {
  const refused = reply(401, { error: "A key is needed.", code: "unauthorized", retryable: false });
  const headers = ({ unauthorized }) => ({ Authorization: unauthorized ? "Bearer new" : "Bearer old" });
  await serve([refused, streamed(whole)], async ({ endpoint, seen }) => {
    assert.deepEqual((await read(endpoint, { headers })).said, everything);
    assert.deepEqual(seen.map((one) => one.headers.authorization), ["Bearer old", "Bearer new"]);
  });
  await serve([refused], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint, { headers }), (error) => error.code === "unauthorized");
    assert.equal(seen.length, 2);
  });
});

test("CR03: Retry-After may be a date, by the server's own clock", async () => {
  const dated = reply(503, null, { "Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT", Date: "Wed, 21 Oct 2015 07:28:00 GMT" });
  await serve([dated, streamed(whole)], async ({ endpoint }) => {
    assert.deepEqual((await read(endpoint)).waits, [9_000]);
  });
});

test("CR04: a server that closes at once is asked at most twelve times, whatever chance says", async () => {
  for (const random of [() => 0, () => 0.999, Math.random]) {
    await serve([(response) => response.destroy()], async ({ endpoint, seen }) => {
      const run = read(endpoint, { environment: { ...hasty(), random } });
      await assert.rejects(run, (error) => error instanceof RiverrunError && ["unreachable", "interrupted"].includes(error.code));
      assert.ok(seen.length <= 12, `${seen.length} requests`);
    });
    await serve([streamed("")], async ({ endpoint, seen }) => {
      await assert.rejects(read(endpoint, { environment: { ...hasty(), random } }), RiverrunError);
      assert.ok(seen.length <= 12, `${seen.length} requests`);
    });
  }
});

test("CR05: a gap before the first event is read again from the beginning", async () => {
  await serve([streamed(frame(2, token("b"))), streamed(whole)], async ({ endpoint, seen }) => {
    assert.deepEqual((await read(endpoint)).said, everything);
    assert.equal(seen[1].url, "/api/chat/runs/run/events?after=0&resume=1");
  });
});

/** Environment in which the test is the network and the clock. */
function weather() {
  let now = 1_000_000;
  let online = true;
  let wake = () => {};
  const environment = {
    ...hasty(),
    now: () => now,
    isOnline: () => online,
    onWake(listener) {
      wake = listener;
      return () => {};
    },
    timer: (_run, _ms) => () => {}, // no wait ends by itself
  };
  return {
    environment,
    goOffline: () => (online = false),
    comeBack() {
      online = true;
      wake(true);
    },
    sleep(ms) {
      now += ms;
      wake(false);
    },
  };
}

test("CR07: offline, a run waits without a try; back online it reads on at once", { timeout: 60_000 }, async () => {
  const rest = streamed(whole.slice(frame(1, status).length));
  const sky = weather();
  await serve([cutAfter(frame(1, status)), rest], async ({ endpoint, seen }) => {
    const told = [];
    const onRetry = ({ reason, attempt }) => {
      told.push([reason, attempt]);
      setImmediate(() => {
        assert.equal(seen.length, 1, "nothing is asked without a network");
        sky.comeBack();
      });
    };
    const each = (event) => event.type === "status" && sky.goOffline();
    const { said } = await read(endpoint, { environment: sky.environment, onRetry, each });
    assert.deepEqual(said, everything);
    assert.deepEqual(told, [["No network.", 0]]);
  });
});

test("CR07: a line that outlived the network, or ten minutes of sleep, is not trusted", { timeout: 60_000 }, async () => {
  for (const change of [(sky) => sky.comeBack(), (sky) => sky.sleep(600_000)]) {
    const sky = weather();
    const hanging = (response) => response.writeHead(200, TYPE).write(frame(1, status));
    await serve([hanging, streamed(whole.slice(frame(1, status).length))], async ({ endpoint, seen }) => {
      let first = true;
      const onRetry = () => setImmediate(() => sky.comeBack());
      const each = () => {
        if (first) setImmediate(() => change(sky));
        first = false;
      };
      assert.deepEqual((await read(endpoint, { environment: sky.environment, onRetry, each })).said, everything);
      assert.equal(seen.length, 2);
    });
  }
});

test("CR07: a short look away is no reason to reconnect", { timeout: 60_000 }, async () => {
  const sky = weather();
  let more;
  const slow = (response) => {
    response.writeHead(200, TYPE).write(frame(1, status));
    more = () => response.end(whole.slice(frame(1, status).length));
  };
  await serve([slow], async ({ endpoint, seen }) => {
    let first = true;
    const each = () => {
      if (first) {
        setImmediate(() => {
          sky.sleep(5_000);
          more();
        });
      }
      first = false;
    };
    assert.deepEqual((await read(endpoint, { environment: sky.environment, each })).said, everything);
    assert.equal(seen.length, 1);
  });
});

test("CR07: a proxy that holds everything back is a silence, and the same key asks again", { timeout: 60_000 }, async () => {
  const holding = () => {}; // not even a head
  await serve([holding, streamed(whole)], async ({ endpoint, seen }) => {
    const { said } = await read(endpoint, { retryPolicy: { silence: 40 }, environment: hasty(40) });
    assert.deepEqual(said, everything);
    assert.equal(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
  });
});

test("a pause is not an end: the run goes on under the same cursor, when the server says", async () => {
  const paused = `data: ${JSON.stringify({ type: "paused", reason: "deadline", cursor: "run-2", resumeAfterMs: 250 })}\n\n`;
  const parts = [frame(1, status) + frame(2, token("a")) + paused, frame(3, token("b")) + frame(4, final)];
  await serve(parts.map(streamed), async ({ endpoint, seen }) => {
    const told = [];
    const { said } = await read(endpoint, { onRetry: (retrying) => told.push(retrying) });
    assert.deepEqual(said, everything);
    assert.deepEqual(told, [{ reason: "Paused: deadline.", attempt: 1, waitMs: 250, paused: true }]);
    assert.equal(seen[1].url, "/api/chat/runs/run/events?after=2&resume=1");
  });
});

test("a server that only ever pauses is given up", async () => {
  const paused = `data: ${JSON.stringify({ type: "paused", reason: "front", cursor: "run-1", resumeAfterMs: 0 })}\n\n`;
  await serve([streamed(frame(1, status) + paused), streamed(paused)], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "interrupted");
    assert.equal(seen.length, 10);
  });
});

test("an error in the stream is typed and keeps what was said", async () => {
  const error = { type: "error", error: "Slow down.", code: "provider_throttled", retryable: true, retryAfterMs: 900, step: 2, hint: "Wait.", partial: { answer: "a" } };
  await serve([streamed(frame(1, status) + frame(2, token("a")) + frame(3, error))], async ({ endpoint }) => {
    const heard = [];
    const reading = read(endpoint, { onError: (problem) => heard.push(problem) });
    await assert.rejects(reading, (problem) => {
      const { name, message, code, retryable, retryAfterMs, step, hint, partial, runId, cursor } = problem;
      assert.deepEqual(
        [name, message, code, retryable, retryAfterMs, step, hint, runId, cursor],
        ["RiverrunError", "Slow down.", "provider_throttled", true, 900, 2, "Wait.", "run", "run-3"],
      );
      assert.deepEqual([partial.answer, partial.steps], ["a", [status.status]]);
      return heard[0] === problem;
    });
  });
});

test("callbacks hear everything in order, and start by themselves", async () => {
  const all = [status, { type: "sources", sources: [] }, token("a"), { type: "reset", reason: "again" }, token("b"), { type: "future" }, final];
  await serve([streamed(all.map((event, at) => frame(at + 1, event)).join(""))], async ({ endpoint }) => {
    const heard = [];
    const note = (name) => (value) => heard.push([name, value]);
    const names = ["onOpen", "onStatus", "onSources", "onToken", "onReset"];
    await new Promise((resolve, reject) => {
      const callbacks = Object.fromEntries(names.map((name) => [name, note(name)]));
      stream("Why?", { endpoint, ...callbacks, onComplete: (result) => resolve(note("onComplete")(result)), onError: reject });
    });
    assert.deepEqual(heard, [
      ["onOpen", "run"],
      ["onStatus", status.status],
      ["onSources", []],
      ["onToken", "a"],
      ["onReset", "again"],
      ["onToken", "b"],
      ["onComplete", final.result],
    ]);
  });
});

test("onError hears a failure, and nothing else happens", async () => {
  await serve([reply(422, { error: "No.", code: "validation_error" })], async ({ endpoint }) => {
    const error = await new Promise((resolve) => stream("", { endpoint, onError: resolve, onComplete: assert.fail }));
    assert.equal(error.code, "validation_error");
  });
});

test("what a callback throws is reported, and is not the stream's", async (context) => {
  const reported = context.mock.method(console, "error", () => {});
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const oops = new TypeError("oops");
    const onToken = () => {
      throw oops;
    };
    const onError = assert.fail;
    assert.deepEqual(await stream("Why?", { endpoint, onToken, onError }).result, final.result);
    assert.deepEqual(reported.mock.calls.map((call) => call.arguments), [[oops], [oops]]);
    assert.equal(seen.length, 1);
  });
});

test("a stream is read by one reader", async () => {
  await serve([streamed(whole)], async ({ endpoint }) => {
    const run = stream("Why?", { endpoint });
    assert.deepEqual(await run.result, final.result);
    assert.throws(() => run[Symbol.asyncIterator](), TypeError);
  });
});

test("an aborted signal ends the reading with its own reason, and stops nothing", { timeout: 60_000 }, async () => {
  const endless = (response) => response.writeHead(200, TYPE).write(frame(1, token("a")));
  for (const when of ["before", "while"]) {
    await serve([endless], async ({ endpoint, seen, stops }) => {
      const leaving = new AbortController();
      const reason = new Error("enough");
      if (when === "before") leaving.abort(reason);
      const each = () => leaving.abort(reason);
      await assert.rejects(read(endpoint, { signal: leaving.signal, each, onError: assert.fail }), (error) => error === reason);
      assert.deepEqual([seen.length, stops.length], [when === "before" ? 0 : 1, 0]);
    });
  }
});

test("a run is joined by its id, from anywhere in it", async () => {
  await serve([streamed(frame(3, token("b")) + frame(4, final))], async ({ endpoint, seen }) => {
    const said = [];
    for await (const event of join("run", { endpoint, after: 2 })) said.push(event);
    assert.deepEqual(said, [token("b"), final]);
    assert.deepEqual([seen[0].method, seen[0].url], ["GET", "/api/chat/runs/run/events?after=2&resume=1"]);
  });
});

test("an event without end is refused, not kept", async () => {
  const flood = (response) => {
    response.writeHead(200, TYPE);
    response.write("data: ");
    for (let n = 0; n < 5; n += 1) response.write("x".repeat(1_000_000));
  };
  await serve([flood], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "too_large");
    assert.equal(seen.length, 1);
  });
});

test("a caller that looks at an event for long is not cut off for it", async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const environment = still();
    const run = stream("Why?", { endpoint, environment });
    const said = [];
    for await (const event of run) {
      said.push(event);
      await new Promise(setImmediate);
      environment.pass();
    }
    assert.deepEqual(said, everything);
    assert.equal(seen.length, 1);
  });
});

test("CR02: the socket is let go with the terminal event, even when the caller does not read on", { timeout: 60_000 }, async () => {
  let left;
  const gone = new Promise((resolve) => (left = resolve));
  const lingering = (response) => {
    response.on("close", left);
    response.writeHead(200, TYPE).write(frame(1, final));
  };
  await serve([lingering], async ({ endpoint }) => {
    const events = stream("Why?", { endpoint })[Symbol.asyncIterator]();
    assert.deepEqual((await events.next()).value, final);
    await gone; // and `next` is not called again
  });
});

test("CR04: a wait is any part of what it may be", async () => {
  for (const [part, waits] of [[0, [0, 0, 0]], [0.5, [500, 1_000, 2_000]]]) {
    await serve([cutAfter("")], async ({ endpoint }) => {
      const told = [];
      const environment = { ...hasty(), random: () => part };
      const reading = read(endpoint, { environment, onRetry: ({ waitMs }) => told.push(waitMs) });
      await assert.rejects(reading, RiverrunError);
      assert.deepEqual(told.slice(0, 3), waits);
    });
  }
});
