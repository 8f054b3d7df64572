// A process that is killed in mid-answer: no client takes the half for the whole, and one that
// reads on has the rest from another process. One kill for all clients at once.
import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { after, before, describe, test } from "node:test";

import { HttpAgent } from "@ag-ui/client";
import { HttpAgent as OldAgent } from "ag-ui-client-0";
import * as seven from "ai";
import * as five from "ai-5";
import * as six from "ai-6";
import OpenAI from "openai";

import { openPage } from "./page.mjs";
import { resumableFetch } from "./resumable_fetch.mjs";
import { textOf, until } from "./until.mjs";

const base = process.env.RIVERRUN_URL;
// The page below makes this program look like a browser.
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", dangerouslyAllowBrowser: true });
const messages = [{ role: "user", content: "Say it." }];
const [HALF, WHOLE] = ["Half ", "Half and whole [1]."];
const api = `${base}/api/ui/chat`;

/** Each begins to read an answer and calls `heard` at its first words; it gives what came of it. */
const readers = {
  async chatCompletion(heard) {
    const stream = await client.chat.completions.create({ model: "m", stream: true, messages });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) heard();
  },
  async response(heard, kept) {
    for await (const event of await client.responses.create({ model: "m", input: "Say it.", stream: true })) {
      kept.id = event.response?.id ?? kept.id;
      kept.number = event.sequence_number;
      if (event.type === "response.output_text.delta") heard();
    }
  },
  agent: (heard) => run(HttpAgent, heard),
  oldAgent: (heard) => run(OldAgent, heard),
  agentThatReadsOn: (heard) => run(HttpAgent, heard, { fetch: resumableFetch() }),
  oldAgentThatReadsOn: (heard) => run(OldAgent, heard, { fetch: resumableFetch() }),
  ...Object.fromEntries(Object.entries({ five, six, seven }).map(([name, ai]) => [name, (heard, kept) => ask(ai, heard, kept)])),
};

async function run(Agent, heard, more = {}) {
  const agent = new Agent({ url: `${base}/api/agui`, initialMessages: [{ id: "1", role: "user", content: "Say it." }], ...more });
  const { result } = await agent.runAgent({}, { onTextMessageContentEvent: () => void heard() });
  return result.answer;
}

async function ask(ai, heard, kept) {
  kept.chat = crypto.randomUUID();
  kept.transport = new ai.DefaultChatTransport({ api });
  const asked = [{ id: "1", role: "user", parts: [{ type: "text", text: "Say it." }] }];
  const stream = await kept.transport.sendMessages({ chatId: kept.chat, trigger: "submit-message", messages: asked });
  return readMessage(ai, stream, heard);
}

async function readMessage(ai, stream, heard = () => {}) {
  let [last, problem] = [null, null];
  for await (const message of ai.readUIMessageStream({ stream, onError: (error) => (problem = error) })) {
    last = message;
    if (textOf(message)) heard();
  }
  if (problem) throw problem;
  return textOf(last);
}

const kept = Object.fromEntries(Object.keys(readers).map((name) => [name, {}]));
const outcomes = {};
const page = openPage(crypto.randomUUID(), api);

before(async () => {
  const begun = Object.entries(readers).map(
    ([name, read]) =>
      new Promise((heard, fail) => {
        outcomes[name] = read(heard, kept[name]);
        outcomes[name].then(() => fail(new Error(`${name} ended early`)), fail);
      }),
  );
  await until(() => page.seen.sendMessage);
  void page.seen.sendMessage({ text: "Say it." });
  await Promise.all([...begun, until(() => textOf(page.seen.messages[1]) === HALF)]);
  // AG-UI's clients reject one more promise, which they give to no caller; the test runner minds.
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (problem) => assert.equal(problem.message, "terminated"));
  // Who writes from now on has more to say.
  await rename(process.env.RIVERRUN_NEXT_SCRIPT, process.env.RIVERRUN_SCRIPT);
  const killed = await fetch(process.env.RIVERRUN_KILL, { method: "POST" });
  assert.equal(killed.status, 200);
  // A client that comes back at once must not meet the dying process: not each of them tries twice.
  const dying = new Set((await killed.json()).sandboxes.map(({ pid }) => pid));
  const isDying = async () => {
    const { functions } = await (await fetch(new URL("/emulator", process.env.RIVERRUN_KILL))).json();
    return functions.some(({ sandboxes }) => sandboxes.some(({ pid, alive }) => alive && dying.has(pid)));
  };
  while (await isDying()) await new Promise((done) => setTimeout(done, 25));
});
after(() => page.close());

describe("a producer that was killed", { concurrency: true }, () => {
  for (const name of ["chatCompletion", "response", "five", "six", "seven", "agent", "oldAgent"]) {
    test(`${name}: what it reads is an error`, () => assert.rejects(outcomes[name]));
  }

  test("a response is read on from another process, number after number", async () => {
    await outcomes.response.catch(() => {});
    const { id, number } = kept.response;
    const events = [];
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: number })) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => number + 1 + index));
    assert.equal(events.at(-1).type, "response.completed");
    assert.equal(events.at(-1).response.output[0].content[0].text, WHOLE);
  });

  for (const [name, ai] of Object.entries({ five, six, seven })) {
    test(`${name}: its transport reads the chat on`, async () => {
      await outcomes[name].catch(() => {});
      const { chat, transport } = kept[name];
      assert.equal(await readMessage(ai, await transport.reconnectToStream({ chatId: chat })), WHOLE);
    });
  }

  for (const name of ["agentThatReadsOn", "oldAgentThatReadsOn"]) {
    test(`${name}: it notices nothing`, async () => assert.equal(await outcomes[name], WHOLE));
  }

  test("a page shows an error, then reads the answer on", async () => {
    await until(() => page.seen.status === "error");
    assert.equal(textOf(page.seen.messages[1]), HALF);
    await page.seen.resumeStream();
    await until(() => page.seen.status === "ready");
    assert.deepEqual(page.seen.messages.map(textOf), ["Say it.", WHOLE]);
  });
});
