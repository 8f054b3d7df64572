// One run over as many connections as it takes, against a real server that breaks on purpose.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { StreamError, openRun } from "../../netlify/site/stream.js";

const TYPE = { "Content-Type": "text/event-stream", "X-Run-Id": "run" };
const status = { type: "status", status: { step: 1, description: "x", status: "executing" } };
const final = { type: "final", result: { answer: "ab" } };
const token = (text) => ({ type: "token", text });
const frame = (seq, event, run = "run") => `id: ${run}-${seq}\ndata: ${JSON.stringify(event)}\n\n`;
const whole = frame(1, status) + frame(2, token("a")) + frame(3, token("b")) + frame(4, final);

/** Serve `answers` one after the other (the last for ever); stop requests go to `stops`. */
async function serve(answers, use) {
  const seen = [];
  const stops = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (request.url.endsWith("/stop")) {
      stops.push(request.url);
      response.writeHead(202).end();
      server.emit("stopped");
      return;
    }
    seen.push({ method: request.method, headers: request.headers, body });
    answers[Math.min(seen.length, answers.length) - 1](response, server);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${server.address().port}/api/chat`;
  try {
    await use({ endpoint, seen, stops });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const stream = (text) => (response) => response.writeHead(200, TYPE).end(text);
const cutAfter = (text) => (response) => {
  response.writeHead(200, TYPE);
  if (text === "") response.destroy();
  else response.write(text, () => response.destroy());
};
const reply = (code, body, headers = {}) => (response) =>
  response.writeHead(code, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));

/** Read a run to its end; `waits` are the pauses it asked for, none of which is slept. */
async function read(endpoint, options = {}) {
  const waits = [];
  const pause = async (ms) => waits.push(ms);
  const events = [];
  const run = openRun("Why?", { endpoint, pause, ...options });
  for await (const event of run.events()) {
    events.push(event);
    options.onEvent?.(event, run);
  }
  const said = events.filter((event) => !["open", "cut"].includes(event.type));
  return { events, said, waits };
}

const everything = [status, token("a"), token("b"), final];

test("a question goes out as the contract says", async () => {
  await serve([stream(whole)], async ({ endpoint, seen }) => {
    const { said } = await read(endpoint, { sessionId: "s" });
    assert.deepEqual(said, everything);
    assert.equal(seen[0].method, "POST");
    assert.deepEqual(JSON.parse(seen[0].body), { query: "Why?", streaming: true, sessionId: "s" });
    assert.match(seen[0].headers["idempotency-key"], /^[0-9a-f]{32}$/);
    assert.equal(seen[0].headers.accept, "text/event-stream");
  });
});

test("cut at any byte, a run is resumed and nothing is said twice or lost", async () => {
  for (let cut = 0; cut < whole.length; cut += 1) {
    const seqs = [...whole.slice(0, cut).matchAll(/id: run-(\d+)\ndata: [^\n]*\n\n/g)].map((match) => match[1]);
    const last = Number(seqs.at(-1) ?? 0);
    const rest = everything.map((event, at) => frame(at + 1, event)).slice(last).join("");
    await serve([cutAfter(whole.slice(0, cut)), stream(rest)], async ({ endpoint, seen }) => {
      const { said } = await read(endpoint);
      assert.deepEqual(said, everything, `cut at ${cut}`);
      if (last > 0) assert.deepEqual([seen[1].method, seen[1].headers["last-event-id"]], ["GET", `run-${last}`]);
      else assert.equal(seen[1].headers["idempotency-key"], seen[0].headers["idempotency-key"]);
    });
  }
});

test("a clean end without a last event is an interruption, never a success", async () => {
  await serve([stream(frame(1, token("a"))), stream("")], async ({ endpoint, seen }) => {
    const reading = read(endpoint);
    await assert.rejects(reading, (error) => error instanceof StreamError && error.code === "interrupted");
    assert.equal(seen.length, 7, "one question and six vain attempts to resume");
  });
});

test("waits grow, with jitter, to at most thirty seconds", async () => {
  await serve([stream("retry: 3000\n\n")], async ({ endpoint }) => {
    const waits = [];
    const options = { random: () => 1, pause: async (ms) => waits.push(ms) };
    await assert.rejects(read(endpoint, options), StreamError);
    assert.deepEqual(waits, [3_000, 6_000, 12_000, 24_000, 30_000, 30_000]);
  });
});

test("an attempt that brings an event makes patience whole again", async () => {
  const drops = Array.from({ length: 12 }, (_, at) => cutAfter(frame(at + 1, token("x"))));
  await serve([...drops, stream(frame(13, final))], async ({ endpoint }) => {
    const { said } = await read(endpoint);
    assert.equal(said.length, 13);
  });
});

test("events seen before are dropped", async () => {
  await serve([cutAfter(whole.slice(0, whole.indexOf("id: run-3"))), stream(whole)], async ({ endpoint }) => {
    assert.deepEqual((await read(endpoint)).said, everything);
  });
});

test("a gap, nonsense or a foreign run is not shown: the run is read again", async () => {
  const first = frame(1, status);
  const rest = whole.slice(first.length);
  for (const bad of [frame(3, token("b")), "id: run-2\ndata: {oops\n\n", "id: run-2\ndata: 5\n\n", frame(2, token("z"), "other")]) {
    await serve([stream(first + bad), stream(rest)], async ({ endpoint, seen }) => {
      assert.deepEqual((await read(endpoint)).said, everything);
      assert.equal(seen[1].headers["last-event-id"], "run-1");
    });
  }
});

test("an event without an id is passed on", async () => {
  await serve([stream(`data: ${JSON.stringify(final)}\n\n`)], async ({ endpoint }) => {
    assert.deepEqual((await read(endpoint)).said, [final]);
  });
});

test("after the last event the connection is left and nothing more is asked", async () => {
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

test("a busy server is asked again when it says, and quoted when patience ends", async () => {
  const busy = reply(503, { error: "Busy.", code: "overloaded", retryable: true }, { "Retry-After": "2" });
  await serve([busy, stream(whole)], async ({ endpoint }) => {
    const { said, waits } = await read(endpoint);
    assert.deepEqual([said, waits], [everything, [2_000]]);
  });
  await serve([busy], async ({ endpoint }) => {
    await assert.rejects(read(endpoint), (error) => error.message === "Busy." && error.code === "overloaded");
  });
});

test("a wait longer than thirty seconds is the person's to decide", async () => {
  const limited = reply(429, { error: "Later.", code: "rate_limited", retryable: true, retryAfterMs: 60_000 });
  await serve([limited], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.retryAfterMs === 60_000);
    assert.equal(seen.length, 1);
  });
});

test("a spent budget is not tried again", async () => {
  await serve([reply(429, { error: "Spent.", code: "budget_exceeded", retryable: false })], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "budget_exceeded");
    assert.equal(seen.length, 1);
  });
});

test("a page, a redirect and an empty answer are refused", async () => {
  const odd = [
    (response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<p>hello"),
    (response) => response.writeHead(302, { Location: "/elsewhere" }).end(),
    (response) => response.writeHead(200, { "Content-Type": "text/event-stream-bogus" }).end(whole),
    (response) => response.writeHead(204).end(),
  ];
  for (const answer of odd) {
    await serve([answer], async ({ endpoint, seen }) => {
      await assert.rejects(read(endpoint), StreamError);
      assert.equal(seen.length, 1);
    });
  }
});

test("a run that is gone when it is resumed is given up", async () => {
  const gone = reply(410, { error: "This run has expired.", code: "expired", retryable: false });
  await serve([cutAfter(frame(1, token("a"))), gone], async ({ endpoint, seen }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "expired");
    assert.equal(seen.length, 2);
  });
});

test("an error page without JSON is still an error with a code", async () => {
  await serve([(response) => response.writeHead(500).end("boom")], async ({ endpoint }) => {
    await assert.rejects(read(endpoint), (error) => error.code === "http_500" && error.retryable);
  });
});

test("a server that is not there is tried, then given up in words", async () => {
  let endpoint;
  await serve([stream(whole)], async (server) => ({ endpoint } = server));
  await assert.rejects(read(endpoint), (error) => error.message === "The server cannot be reached.");
});

test("a silent connection is left and resumed", async () => {
  const silent = (response) => response.writeHead(200, TYPE).write(frame(1, status));
  await serve([silent, stream(whole.slice(frame(1, status).length))], async ({ endpoint, seen }) => {
    assert.deepEqual((await read(endpoint, { silence: 40 })).said, everything);
    assert.equal(seen[1].headers["last-event-id"], "run-1");
  });
});

test("a ping keeps a quiet connection alive", async () => {
  const pinging = (response) => {
    response.writeHead(200, TYPE).write(frame(1, status));
    let pings = 0;
    const timer = setInterval(() => {
      response.write(": ping\n");
      pings += 1;
      if (pings < 12) return;
      clearInterval(timer);
      response.end(whole.slice(frame(1, status).length));
    }, 40);
  };
  await serve([pinging], async ({ endpoint, seen }) => {
    assert.deepEqual((await read(endpoint, { silence: 300 })).said, everything);
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
    const onEvent = (event, run) => event.type === "token" && run.stop();
    const { said } = await read(endpoint, { onEvent });
    assert.deepEqual(said, [token("a"), cancelled]);
    assert.deepEqual(stops, ["/api/chat/runs/run/stop"]);
  });
});

test("a stopped run that says nothing more ends all the same", async () => {
  const deaf = (response) => response.writeHead(200, TYPE).write(frame(1, token("a")));
  await serve([deaf], async ({ endpoint, seen, stops }) => {
    const onEvent = (event, run) => event.type === "token" && run.stop();
    const { said } = await read(endpoint, { onEvent, grace: 40 });
    assert.deepEqual(said, [token("a"), { type: "stopped" }]);
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
    const run = openRun("Why?", { endpoint });
    const events = run.events();
    const first = events.next();
    await heard;
    await run.stop();
    assert.equal(stops.length, 0);
    named();
    await first;
    assert.deepEqual((await events.next()).value, final);
    assert.equal((await events.next()).done, true);
    assert.equal(stops.length, 1);
  });
});

test("stop while waiting to reconnect ends the wait", { timeout: 10_000 }, async () => {
  await serve([cutAfter(frame(1, token("a")))], async ({ endpoint, stops }) => {
    const options = {
      grace: 60_000,
      pause: (_ms, signal) => new Promise((resolve) => signal.addEventListener("abort", resolve)),
      onEvent: (event, run) => event.type === "cut" && setImmediate(() => run.stop()),
    };
    const { said } = await read(endpoint, options);
    assert.deepEqual(said, [token("a"), { type: "stopped" }]);
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
    for await (const event of openRun("Why?", { endpoint }).events()) if (event.type === "token") break;
    await gone;
    assert.equal(stops.length, 0);
  });
});
