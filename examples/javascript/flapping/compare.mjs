// What an answer costs while the network flaps: the client beside `useChat`'s own `Chat`, each over
// a server of its kind, the same model and the same breaks. Prints one line of JSON.
//
//     node flapping/compare.mjs [SEED] [ROUNDS]
import { createServer } from "node:http";
import process from "node:process";

import { Chat } from "@ai-sdk/react";
import { stream } from "@riverrun/client";
import { DefaultChatTransport } from "ai";

const [seed = 1, rounds = 10] = process.argv.slice(2).map(Number);
const TOKENS = 120;
const EACH_MS = 25; // so a whole answer is three seconds of the model
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Numbers that a seed says (mulberry32). */
function chance(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A model that says a token at a time; `paidMs` is what it was busy for. */
function startModel(world, isStopped) {
  const run = { id: `r${world.runs.length + 1}`, tokens: 0, over: false, stopped: false };
  world.runs.push(run);
  run.done = (async () => {
    while (run.tokens < TOKENS && !run.stopped && !isStopped?.()) {
      await pause(EACH_MS);
      world.paidMs += EACH_MS;
      run.tokens += 1;
    }
    run.over = true;
  })();
  return run;
}

/** Serve `handle` behind a line that breaks: all that is open is cut, and for a moment all is refused. */
async function behindFlaps(random, handle, use) {
  const world = { runs: [], paidMs: 0, requests: 0, keys: new Map(), down: false };
  const sockets = new Set();
  const server = createServer((request, response) => {
    world.requests += 1;
    void handle(world, request, response).catch(() => response.destroy());
  });
  server.on("connection", (socket) => {
    if (world.down) return socket.destroy();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  let flapping = true;
  const flaps = (async () => {
    for (let n = 0; n < 4 && flapping; n += 1) {
      await pause(150 + random() * 350);
      world.down = true;
      for (const socket of sockets) socket.destroy();
      await pause(50 + random() * 200);
      world.down = false;
    }
  })();
  const began = performance.now();
  try {
    const outcome = await use(`http://127.0.0.1:${server.address().port}/api/chat`, world);
    const ms = performance.now() - began;
    await Promise.all(world.runs.map(({ done }) => done));
    return { ...outcome, requests: world.requests, paidMs: world.paidMs, ms };
  } finally {
    flapping = false;
    await flaps;
    server.closeAllConnections();
    server.close();
  }
}

async function bodyOf(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

// Riverrun: a run goes on without its reader, and is read from anywhere.
async function riverrun(world, request, response) {
  await bodyOf(request);
  const [, id, what] = /runs\/(\w+)\/(\w+)/.exec(request.url) ?? [];
  let run = world.runs.find((one) => one.id === id);
  if (what === "stop") {
    run.stopped = true;
    return void response.writeHead(202).end();
  }
  const key = request.headers["idempotency-key"];
  run ??= world.keys.get(key) ?? startModel(world);
  if (key) world.keys.set(key, run);
  response.writeHead(200, { "Content-Type": "text/event-stream", "X-Run-Id": run.id });
  response.flushHeaders();
  let seq = Number(/after=(\d+)/.exec(request.url)?.[1] ?? 0);
  const say = (event) => response.write(`id: ${run.id}-${(seq += 1)}\ndata: ${JSON.stringify(event)}\n\n`);
  while (!response.closed) {
    while (seq < run.tokens) say({ type: "token", text: "x" });
    if (run.over) {
      say({ type: "final", result: { answer: "x".repeat(run.tokens), finishReason: run.stopped ? "cancelled" : "stop" } });
      return void response.end();
    }
    await pause(5);
  }
}

// The AI SDK's protocol; `stopsOnClose`: the server hands the request's abort to the model.
const aiSdk = (stopsOnClose) => async (world, request, response) => {
  await bodyOf(request);
  if (request.url.endsWith("/stop")) {
    for (const run of world.runs) run.stopped = true;
    return void response.writeHead(202).end();
  }
  response.writeHead(200, { "Content-Type": "text/event-stream", "x-vercel-ai-ui-message-stream": "v1" });
  const run = startModel(world, () => stopsOnClose && response.closed);
  const say = (part) => response.write(`data: ${JSON.stringify(part)}\n\n`);
  say({ type: "start", messageId: run.id });
  say({ type: "text-start", id: "t" });
  let said = 0;
  while (!response.closed) {
    while (said < run.tokens) {
      say({ type: "text-delta", id: "t", delta: "x" });
      said += 1;
    }
    if (run.over) {
      say({ type: "text-end", id: "t" });
      say({ type: "finish" });
      return void response.end("data: [DONE]\n\n");
    }
    await pause(5);
  }
};

async function readWithRiverrun(endpoint) {
  const { answer } = await stream("Why?", { endpoint }).result;
  return { whole: answer.length === TOKENS };
}

const textOf = ({ messages }) => messages.at(-1)?.parts?.map(({ text }) => text ?? "").join("") ?? "";

/** As a person would: press "Regenerate" until the answer is whole. */
async function readWithChat(endpoint) {
  const chat = new Chat({ transport: new DefaultChatTransport({ api: endpoint }), onError() {} });
  await chat.sendMessage({ text: "Why?" });
  for (let n = 0; n < 30 && textOf(chat).length < TOKENS; n += 1) {
    await pause(100);
    await (chat.messages.at(-1)?.role === "assistant" ? chat.regenerate() : chat.sendMessage()).catch(() => {});
  }
  return { whole: textOf(chat).length === TOKENS };
}

/** Stop while the line is down. */
async function stopWithRiverrun(endpoint, world) {
  const run = stream("Why?", { endpoint });
  const end = run.result.then(({ finishReason }) => finishReason, ({ code }) => code);
  while (!world.down || world.runs.length === 0) await pause(2);
  await run.stop();
  return { said: await end };
}

const stopWithChat = (tellsServer) => async (endpoint, world) => {
  const chat = new Chat({ transport: new DefaultChatTransport({ api: endpoint }), onError() {} });
  const sent = chat.sendMessage({ text: "Why?" });
  while (!world.down || world.runs.length === 0) await pause(2);
  await chat.stop();
  // The stop endpoint of the guide for resumable streams, as it is written there: once.
  if (tellsServer) await fetch(`${endpoint}/stop`, { method: "POST" }).catch(() => {});
  await sent;
  return { said: chat.status };
};

async function measure(handle, use) {
  const round = (_, at) => behindFlaps(chance(seed + at), handle, use);
  const all = await Promise.all(Array.from({ length: rounds }, round));
  const mean = (name) => Math.round((all.reduce((sum, one) => sum + one[name], 0) / rounds) * 10) / 10;
  const counts = {};
  for (const { whole, said = whole ? "whole" : "not whole" } of all) counts[said] = (counts[said] ?? 0) + 1;
  return { requests: mean("requests"), paidMs: mean("paidMs"), ms: mean("ms"), outcome: counts };
}

const report = {
  seed,
  rounds,
  wholeAnswerMs: TOKENS * EACH_MS,
  read: {
    riverrun: await measure(riverrun, readWithRiverrun),
    useChat: await measure(aiSdk(true), readWithChat),
    useChatModelGoesOn: await measure(aiSdk(false), readWithChat),
  },
  stop: {
    riverrun: await measure(riverrun, stopWithRiverrun),
    useChatAbort: await measure(aiSdk(true), stopWithChat(false)),
    useChatStopEndpoint: await measure(aiSdk(false), stopWithChat(true)),
  },
};
console.log(JSON.stringify(report, null, 2));
process.exit(0);
