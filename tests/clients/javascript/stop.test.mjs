// "Stopped" is said only of what was stopped: whatever is lost on the way, however late the answer.
import assert from "node:assert/strict";
import { test } from "node:test";

import { stream } from "../../../clients/javascript/src/index.js";
import { chance } from "./chance.mjs";
import { TYPE, cutAfter, final, frame, hasty, reply, serve, still, streamed, token } from "./scripted.mjs";

const cancelled = { type: "final", result: { answer: "a", finishReason: "cancelled" } };
const accept = (response) => response.writeHead(202).end();
const lose = (response) => response.destroy();

/** A run that says `a` and then waits to be stopped. */
const stoppable = (response, server) => {
  response.writeHead(200, TYPE).write(frame(1, token("a")));
  server.once("stopped", () => response.end(frame(2, cancelled)));
};

/** Read to the end; stop after the first event. */
async function readAndStop(endpoint, options = {}) {
  const seen = { events: [], stopped: null, error: null };
  const run = stream("Why?", { endpoint, environment: hasty(), ...options });
  try {
    for await (const event of run) {
      seen.events.push(event);
      seen.stopped ??= run.stop();
    }
  } catch (error) {
    seen.error = error;
  }
  return { ...seen, stopped: await seen.stopped };
}

test("stop while the head is awaited waits for it, however long, and then stops", { timeout: 60_000 }, async () => {
  let arrived;
  const asked = new Promise((resolve) => (arrived = resolve));
  const cold = (response, server) => {
    server.once("stopped", () => response.end(frame(1, cancelled)));
    arrived();
    setTimeout(() => response.writeHead(200, TYPE).write(": hello\n"), 300); // long after the grace
  };
  await serve([cold], async ({ endpoint, stops, seen }) => {
    const run = stream("Why?", { endpoint, retryPolicy: { grace: 20 } });
    const end = run.result;
    await asked;
    assert.equal(await run.stop(), true);
    assert.deepEqual(await end, cancelled.result);
    assert.deepEqual([seen.length, stops], [1, ["/api/chat/runs/run/stop"]]);
  });
});

test("a stop that is lost, refused for want of a new token, or too much for the server is told again", async () => {
  const answers = [lose, reply(503, null), reply(401, { error: "Old.", code: "unauthorized" }), accept];
  const tokens = [];
  const headers = ({ unauthorized }) => {
    tokens.push(unauthorized);
    return { Authorization: unauthorized ? "Bearer new" : "Bearer old" };
  };
  await serve(
    [stoppable],
    async ({ endpoint, stops }) => {
      const { events, stopped, error } = await readAndStop(endpoint, { headers });
      assert.deepEqual([events, stopped, error, stops.length], [[token("a"), cancelled], true, null, 4]);
      assert.deepEqual(tokens, [false, false, false, false, true]);
    },
    answers,
  );
});

test("a stop that the server never answers is told again after the silence", { timeout: 60_000 }, async () => {
  const environment = still();
  await serve(
    [stoppable],
    async ({ endpoint, stops }) => {
      const { stopped } = await readAndStop(endpoint, { retryPolicy: { grace: 20 }, environment });
      assert.deepEqual([stopped, stops.length], [true, 2]);
    },
    [() => setImmediate(environment.pass), accept],
  );
});

test("what could not be stopped is not called stopped", async () => {
  for (const [answer, requests] of [[lose, 10], [reply(503, null), 10], [reply(403, { error: "No.", code: "forbidden" }), 1], [reply(302, null, { Location: "/x" }), 1]]) {
    await serve(
      [stoppable],
      async ({ endpoint, stops }) => {
        const { events, stopped, error } = await readAndStop(endpoint);
        assert.deepEqual([events, stopped, error.code, error.cursor, stops.length], [[token("a")], false, "not_stopped", "run-1", requests]);
      },
      [answer],
    );
  }
});

test("a question whose answer was lost is asked again under its key, to be stopped", async () => {
  let again;
  const lost = (response) => {
    again();
    setTimeout(() => response.destroy(), 20);
  };
  const asked = new Promise((resolve) => (again = resolve));
  await serve([lost, lose, stoppable], async ({ endpoint, seen, stops }) => {
    const run = stream("Why?", { endpoint, environment: hasty() });
    const end = run.result;
    await asked;
    assert.equal(await run.stop(), true);
    assert.deepEqual(await end, cancelled.result);
    assert.equal(new Set(seen.map(({ headers }) => headers["idempotency-key"])).size, 1);
    assert.deepEqual([seen.length, stops.length], [3, 1]);
  });
});

test("what is not read any more can still be stopped, also before it has a name", { timeout: 60_000 }, async () => {
  const named = (response) => response.writeHead(200, TYPE).write(frame(1, token("a")));
  await serve([named], async ({ endpoint, stops }) => {
    const run = stream("Why?", { endpoint });
    for await (const _ of run) break;
    assert.equal(await run.stop(), true);
    assert.equal(stops.length, 1);
  });
  let arrived;
  const asked = new Promise((resolve) => (arrived = resolve));
  await serve([() => arrived(), named], async ({ endpoint, stops, seen }) => {
    const leaving = new AbortController();
    const heard = [];
    const run = stream("Why?", { endpoint, signal: leaving.signal, onToken: (text) => heard.push(text) });
    const end = run.result;
    await asked;
    leaving.abort();
    await assert.rejects(end, { name: "AbortError" });
    assert.equal(await run.stop(), true);
    assert.equal(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
    assert.deepEqual([stops.length, heard], [1, []]);
  });
});

test("a stop that failed can be tried again", async () => {
  await serve(
    [stoppable],
    async ({ endpoint, stops }) => {
      const run = stream("Why?", { endpoint, environment: hasty() });
      for await (const _ of run) break;
      assert.equal(await run.stop(), false);
      assert.equal(await run.stop(), true);
      assert.equal(stops.length, 2);
    },
    [reply(403, { error: "No.", code: "forbidden" }), accept],
  );
});

test("what is stopped in the same breath is never sent", async () => {
  await serve([streamed(frame(1, final))], async ({ endpoint, seen, stops }) => {
    const run = stream("Why?", { endpoint });
    const end = run.result;
    void run.stop();
    await assert.rejects(end, { code: "cancelled" });
    assert.deepEqual([seen.length, stops.length], [0, 0]);
  });
});

test("a question that was refused is an error, and there is nothing to stop", async () => {
  await serve([(response) => setTimeout(() => reply(422, { error: "No.", code: "validation_error" })(response), 30)], async ({ endpoint, seen, stops }) => {
    const run = stream("Why?", { endpoint });
    const end = run.result.catch((error) => error.code);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await run.stop(), false);
    assert.equal(await end, "validation_error");
    assert.deepEqual([seen.length, stops.length], [1, 0]);
  });
});

test("after a cut while it is being stopped, the last words are read on", async () => {
  const cut = (response, server) => {
    response.writeHead(200, TYPE).write(frame(1, token("a")));
    server.once("stopped", () => response.destroy());
  };
  await serve([cut, cutAfter(""), streamed(frame(2, cancelled))], async ({ endpoint }) => {
    const { events, stopped } = await readAndStop(endpoint);
    assert.deepEqual([events, stopped], [[token("a"), cancelled], true]);
  });
});

/** A server with runs, behind a line that loses what chance says; time passes when it is looked at. */
function lossyWorld(random, losses) {
  const runs = new Map();
  const world = { runs, key: "", models: 0 };
  const encoder = new TextEncoder();
  const later = (value) => new Promise((resolve) => setImmediate(() => resolve(value)));

  function events(run, after) {
    let seq = after;
    const body = new ReadableStream({
      async pull(controller) {
        await later();
        if (random() < losses) return controller.error(new TypeError("reset"));
        const stopped = run.stopped && frame(seq + 1, cancelled, run.id);
        if (!stopped && random() < 0.3) return controller.enqueue(encoder.encode(": ping\n"));
        controller.enqueue(encoder.encode(stopped || frame((seq += 1), token("x"), run.id)));
        if (stopped || seq > 60) controller.close();
      },
    });
    return new Response(body, { headers: { ...TYPE, "X-Run-Id": random() < 0.9 ? run.id : "" } });
  }

  async function handle(url, { method, headers }) {
    const { pathname, searchParams } = new URL(url);
    if (random() < losses / 2) return new Response("busy", { status: [502, 503, 504, 429][Math.floor(random() * 4)] });
    if (headers.Authorization === "old" && random() < 0.5) return Response.json({ error: "Old.", code: "unauthorized" }, { status: 401 });
    const [, id, what] = /runs\/(\w+)\/(\w+)$/.exec(pathname) ?? [];
    if (what === "stop") {
      runs.get(id).stopped = true;
      return new Response("{}", { status: 202 });
    }
    if (what === "events") return events(runs.get(id), Number(searchParams.get("after")));
    assert.equal(method, "POST");
    world.key ||= headers["Idempotency-Key"];
    assert.equal(headers["Idempotency-Key"], world.key);
    if (runs.size === 0) runs.set("r1", { id: "r1", stopped: false });
    return events(runs.get("r1"), 0);
  }

  world.fetch = async (url, init) => {
    for (let n = Math.floor(random() * 4); n > 0; n -= 1) await later();
    if (random() < losses) throw new TypeError("lost on the way there");
    const response = await handle(url, init);
    if (random() < losses) throw new TypeError("lost on the way back");
    return response;
  };
  return world;
}

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
const rounds = Number(process.env.ROUNDS ?? 1_000);

test(`${rounds} stops under random losses: what is called stopped is stopped (SEED=${seed})`, async () => {
  const ends = { cancelled: 0, not_stopped: 0, other: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const random = chance(seed + round);
    const losses = random() * 0.9;
    const world = lossyWorld(random, losses);
    // Nothing is silent here, no wait is slept, and a stopped run has a moment for its last words.
    const timer = (run, ms) => {
      if (ms === 35_000) return () => {};
      const one = ms === 4_000 ? setTimeout(run, 1) : setImmediate(run);
      return () => (ms === 4_000 ? clearTimeout(one) : clearImmediate(one));
    };
    const run = stream("Why?", {
      endpoint: "http://server/api/chat",
      headers: ({ unauthorized }) => ({ Authorization: unauthorized ? "new" : "old" }),
      environment: { fetch: world.fetch, random, timer },
    });
    const end = run.result.then(
      (result) => (result.finishReason === "cancelled" ? "cancelled" : "other"),
      (error) => error.code,
    );
    for (let n = Math.floor(random() * 30); n > 0; n -= 1) await new Promise(setImmediate);
    const accepted = await run.stop();
    const code = await end;
    const running = [...world.runs.values()].some(({ stopped }) => !stopped);
    const told = `SEED=${seed}, round ${round}: ${code}, ${accepted}`;
    if (accepted || code === "cancelled") assert.equal(running, false, told);
    if (running) assert.ok(code !== "cancelled" && !accepted, told);
    ends[code in ends ? code : "other"] += 1;
  }
  assert.ok(ends.cancelled > rounds / 4, JSON.stringify(ends));
  if (process.env.REPORT) console.log(JSON.stringify(ends));
});
