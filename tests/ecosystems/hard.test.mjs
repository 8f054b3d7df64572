// Each client where the network and the other readers are hard on it: one byte a read, silence with
// pings, the same run read in several dialects at once.
import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpAgent } from "@ag-ui/client";
import { HttpAgent as OldAgent } from "ag-ui-client-0";
import * as seven from "ai";
import * as five from "ai-5";
import * as six from "ai-6";
import OpenAI from "openai";

const base = process.env.RIVERRUN_URL;
const pings = [];

/** A `fetch` whose bodies come one byte a read; it notes the pings that it saw. */
async function fetchBytes(address, options) {
  const response = await fetch(address, options);
  let tail = "";
  const cut = new TransformStream({
    transform(chunk, controller) {
      for (const byte of chunk) controller.enqueue(Uint8Array.of(byte));
      const text = tail + new TextDecoder("latin1").decode(chunk);
      pings.push(...text.split("\n").slice(0, -1).filter((line) => line.startsWith(":")));
      tail = text.slice(text.lastIndexOf("\n") + 1);
    },
  });
  return new Response(response.body.pipeThrough(cut), response);
}

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0, fetch: fetchBytes });

async function askUi(ai, text) {
  const transport = new ai.DefaultChatTransport({ api: `${base}/api/ui/chat`, fetch: fetchBytes });
  const messages = [{ id: "1", role: "user", parts: [{ type: "text", text }] }];
  const stream = await transport.sendMessages({ chatId: crypto.randomUUID(), trigger: "submit-message", messages });
  let last;
  for await (const message of ai.readUIMessageStream({ stream, onError: assert.ifError })) last = message;
  return last.parts.filter(({ type }) => type === "text").map((part) => part.text).join("");
}

async function askAgent(Agent, content) {
  const agent = new Agent({ url: `${base}/api/agui`, fetch: fetchBytes, initialMessages: [{ id: "1", role: "user", content }] });
  const { result } = await agent.runAgent();
  return result.answer;
}

const ways = {
  "a chat completion": async (content) => {
    let text = "";
    const stream = await client.chat.completions.create({ model: "m", stream: true, messages: [{ role: "user", content }] });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    return text;
  },
  "a response": async (input) => (await client.responses.stream({ model: "m", input }).finalResponse()).output_text,
  "ai 5": (query) => askUi(five, query),
  "ai 6": (query) => askUi(six, query),
  "ai 7": (query) => askUi(seven, query),
  "AG-UI 1.0": (query) => askAgent(HttpAgent, query),
  "AG-UI 0.0.59": (query) => askAgent(OldAgent, query),
};

for (const [name, ask] of Object.entries(ways)) {
  test(`${name}: one byte a read, umlauts cut in two, and a silence with pings are not noticed`, async () => {
    pings.length = 0;
    assert.equal(await ask("slowly"), "Vier grüne Kronen — 👑 [1].");
    assert.ok(pings.length > 0, "there was no ping to be passed over");
  });
}

test("one run is read in three dialects at once, while it is written", async () => {
  const response = await fetch(`${base}/v1/responses`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model: "m", input: "slowly", stream: true }),
  });
  const run = response.headers.get("X-Run-Id");
  const [one, two, three] = await Promise.all([
    response.text(),
    fetch(`${base}/api/agui/runs/${run}/events?after=0`).then((other) => other.text()),
    fetch(`${base}/api/chat/runs/${run}/events?after=0`).then((other) => other.text()),
  ]);
  const last = (text) => JSON.parse(text.split("\n").filter((line) => line.startsWith("data: ")).at(-1).slice(6));
  const answers = [last(one).response.output[0].content[0].text, last(two).result.answer, last(three).result.answer];
  assert.deepEqual(answers, Array(3).fill("Vier grüne Kronen — 👑 [1]."));
});
