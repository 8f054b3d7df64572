// Hosts that lack what a browser has, and addresses that are not the plain one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { RiverrunError, stream } from "../../../clients/javascript/src/index.js";
import { load } from "./installed.mjs";
import { TYPE, cutAfter, everything, final, frame, hasty, reply, serve, status, streamed, whole } from "./scripted.mjs";

async function read(run) {
  const said = [];
  for await (const event of run) said.push(event);
  return said;
}

test("a redirect that a browser hides is a redirect, with a sentence", async () => {
  // Response.type "opaqueredirect": status 0, no headers, no body.
  const hidden = { status: 0, ok: false, type: "opaqueredirect", headers: new Headers(), body: null };
  const run = stream("Why?", { environment: { fetch: async () => hidden } });
  await assert.rejects(read(run), { code: "redirected", message: /redirects/ });
});

test("where a response has no body to read in pieces, the answer comes as a whole", async () => {
  for (const body of [undefined, null, {}]) {
    const response = { status: 200, ok: true, headers: new Headers(TYPE), body, text: async () => whole };
    const run = stream("Why?", { environment: { fetch: async () => response } });
    assert.deepEqual(await read(run), everything);
  }
});

test("a host without TextDecoder reads text", async () => {
  const { TextDecoder } = globalThis;
  globalThis.TextDecoder = undefined;
  try {
    const response = { status: 200, ok: true, headers: new Headers(TYPE), text: async () => whole };
    assert.deepEqual(await read(stream("Why?", { environment: { fetch: async () => response } })), everything);
  } finally {
    globalThis.TextDecoder = TextDecoder;
  }
});

test("a request asks fetch for nothing that some hosts refuse", async () => {
  // Cloudflare's workers throw for `cache`, `credentials` and `mode`.
  const known = ["method", "url", "headers", "body", "signal", "redirect", "keepalive"];
  const fetch = async (_, init) => {
    for (const name of Object.keys(init)) if (!known.includes(name)) throw new TypeError(`${name} is not implemented`);
    return new Response(whole, { headers: TYPE });
  };
  assert.deepEqual(await read(stream("Why?", { environment: { fetch } })), everything);
});

test("without crypto a question has a key all the same, and each its own", async () => {
  const { crypto } = globalThis;
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  try {
    const keys = Array.from({ length: 100 }, () => stream("Why?").idempotencyKey);
    assert.equal(new Set(keys).size, 100);
    for (const key of keys) assert.match(key, /^[0-9.e-]{20,80}$/);
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true });
  }
});

test("a signal that has no reason still ends the reading with an error", async () => {
  const listeners = [];
  const signal = { aborted: false, addEventListener: (_, listener) => listeners.push(listener), removeEventListener() {} };
  await serve([(response) => response.writeHead(200, TYPE).write(frame(1, status))], async ({ endpoint }) => {
    const run = stream("Why?", { endpoint, signal });
    const reading = async () => {
      for await (const _ of run) {
        signal.aborted = true;
        for (const listener of listeners) listener();
      }
    };
    await assert.rejects(reading(), (error) => error instanceof RiverrunError && error.code === "aborted");
  });
});

test("what a transport throws is an error of the client's, and onError is told", async () => {
  const transport = async function* () {
    throw new ReferenceError("EventSource is not defined");
  };
  const error = await new Promise((resolve) => stream("Why?", { transport, onError: resolve }));
  assert.deepEqual([error instanceof RiverrunError, error.code, error.message], [true, "internal", "ReferenceError: EventSource is not defined"]);
});

test("headers that never come are silence, and an error in the end", { timeout: 60_000 }, async () => {
  await serve([streamed(whole)], async ({ endpoint, seen }) => {
    const headers = () => new Promise(() => {});
    const run = stream("Why?", { endpoint, headers, retryPolicy: { silence: 20 }, environment: hasty(20) });
    await assert.rejects(read(run), { code: "unreachable" });
    assert.equal(seen.length, 0);
  });
});

test("headers that fail are tried again, and then told", async () => {
  await serve([streamed(whole)], async ({ endpoint }) => {
    let asked = 0;
    const headers = async () => {
      if ((asked += 1) < 3) throw new Error("The token server is away.");
      return {};
    };
    assert.deepEqual(await read(stream("Why?", { endpoint, headers, environment: hasty() })), everything);
    asked = -99;
    const run = stream("Why?", { endpoint, headers, environment: hasty() });
    await assert.rejects(read(run), { code: "unreachable", message: "Error: The token server is away." });
  });
});

test("a key that cannot be renewed is not sent twice", async () => {
  for (const headers of [undefined, { Authorization: "Bearer x" }]) {
    await serve([reply(401, { error: "Who?", code: "unauthorized" })], async ({ endpoint, seen }) => {
      await assert.rejects(read(stream("Why?", { endpoint, headers })), { code: "unauthorized" });
      assert.equal(seen.length, 1);
    });
  }
});

test("a fetch that knows no signal is left all the same", { timeout: 60_000 }, async () => {
  let asked = 0;
  const fetch = async () => {
    asked += 1;
    return asked < 2 ? new Promise(() => {}) : new Response(whole, { headers: TYPE });
  };
  const run = stream("Why?", { retryPolicy: { silence: 20 }, environment: { ...hasty(20), fetch } });
  assert.deepEqual(await read(run), everything);
});

test("an address with a query, a slash at its end or a fragment keeps resume and stop", async () => {
  const cancelled = { type: "final", result: { answer: "", finishReason: "cancelled" } };
  const addresses = [
    ["?tenant=a&x=1", "/api/chat?tenant=a&x=1", "/api/chat/runs/run/events?after=1&resume=1&tenant=a&x=1", "/api/chat/runs/run/stop?tenant=a&x=1"],
    ["/", "/api/chat/", "/api/chat/runs/run/events?after=1&resume=1", "/api/chat/runs/run/stop"],
    ["//?a=b", "/api/chat//?a=b", "/api/chat/runs/run/events?after=1&resume=1&a=b", "/api/chat/runs/run/stop?a=b"],
    ["#part", "/api/chat", "/api/chat/runs/run/events?after=1&resume=1", "/api/chat/runs/run/stop"],
  ];
  for (const [more, ...expected] of addresses) {
    const rest = (response, server) => {
      response.writeHead(200, TYPE).write(": hello\n");
      server.once("stopped", () => response.end(frame(2, cancelled)));
      resumed();
    };
    let resumed;
    const again = new Promise((resolve) => (resumed = resolve));
    await serve([cutAfter(frame(1, status)), rest], async ({ endpoint, seen, stops }) => {
      const run = stream("Why?", { endpoint: endpoint + more, environment: hasty() });
      const end = run.result;
      await again;
      assert.equal(await run.stop(), true);
      assert.equal((await end).finishReason, "cancelled");
      assert.deepEqual([...seen.map(({ url }) => url), ...stops], expected);
    });
  }
});

test("an answer without any id is read to its end", async () => {
  const loose = everything.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  await serve([(response) => response.writeHead(200, { "Content-Type": "text/event-stream" }).end(loose)], async ({ endpoint }) => {
    assert.deepEqual((await read(stream("Why?", { endpoint }))).at(-1), final);
  });
});

test("a server that renders keeps nothing of a rendering", async () => {
  assert.equal(typeof window, "undefined");
  const { useRiverrun } = await import("../../../clients/javascript/src/react.js");
  const { createElement: h } = (await load("react")).default;
  const { renderToString } = (await load("react-dom/server")).default;
  const Answer = ({ id }) => {
    const { answer, isStreaming } = useRiverrun({ id, endpoint: "/api/chat" });
    return h("p", null, `${answer}${isStreaming}`);
  };
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const render = (from, to) => {
    for (let n = from; n < to; n += 1) assert.equal(renderToString(h(Answer, { id: `person-${n}` })), "<p>false</p>");
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = render(0, 1_000);
  const after = render(1_000, 6_000);
  assert.ok(after - before < 500_000, `${after - before} bytes for 5,000 renderings`);
});

test("the hook is a client component", () => {
  const source = readFileSync(new URL("../../../clients/javascript/src/react.js", import.meta.url), "utf8");
  assert.match(source, /^"use client";\n/);
  assert.doesNotMatch(source, /export \*/, "Next.js refuses it in a client component");
});
