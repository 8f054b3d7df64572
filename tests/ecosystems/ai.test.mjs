// The AI SDK's chat transport in three majors, its provider for OpenAI's dialect, and `useChat` in
// a page, all unmodified.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import * as seven from "ai";
import * as five from "ai-5";
import * as six from "ai-6";

const base = process.env.RIVERRUN_URL;
const api = `${base}/api/ui/chat`;
const user = (text) => ({ id: crypto.randomUUID(), role: "user", parts: [{ type: "text", text }] });
const textOf = (message) => message.parts.filter(({ type }) => type === "text").map(({ text }) => text).join("");

/** Ask by the transport of one major; the messages as they grow, and the error if there is one. */
async function ask(ai, text, { chatId = crypto.randomUUID(), signal, messages = [user(text)] } = {}) {
  const transport = new ai.DefaultChatTransport({ api });
  const stream = await transport.sendMessages({ chatId, trigger: "submit-message", messages, abortSignal: signal });
  return read(ai, stream);
}

async function read(ai, stream) {
  const seen = [];
  let error = null;
  const onError = (problem) => (error = problem);
  for await (const message of ai.readUIMessageStream({ stream, onError, terminateOnError: false })) seen.push(structuredClone(message));
  return { message: seen.at(-1), seen, error };
}

for (const [major, ai] of [[5, five], [6, six], [7, seven]]) {
  test(`ai ${major}: an answer has its text, its steps and its sources`, async () => {
    const { message, error } = await ask(ai, "What?");
    assert.equal(error, null);
    assert.equal(textOf(message), "Four crowns [1].");
    const kinds = new Set(message.parts.map(({ type }) => type));
    assert.ok(kinds.has("data-status") && kinds.has("source-document"));
    // A status replaces the one of its step: each step is one part.
    const steps = message.parts.filter(({ type }) => type === "data-status").map(({ data }) => data.step);
    assert.deepEqual(steps, [...new Set(steps)]);
  });

  test(`ai ${major}: no failure looks like an answer`, async () => {
    const late = await ask(ai, "fails late");
    assert.match(late.error.message, /\w/);
    assert.equal(textOf(late.message), "Half");
    const early = await ask(ai, "fails early");
    assert.match(early.error.message, /\w/);
  });

  test(`ai ${major}: a refusal before the stream is one short sentence`, async () => {
    const file = { type: "file", mediaType: "image/png", url: "data:image/png;base64,AA" };
    const messages = [{ id: "1", role: "user", parts: [file] }];
    await assert.rejects(ask(ai, "", { messages }), ({ message }) => message.includes("only text") && message.length < 200);
  });

  test(`ai ${major}: a chat that is read again gets the whole answer, and stops by its id`, async () => {
    const chatId = `chat ${major}/${crypto.randomUUID()}`;
    const transport = new ai.DefaultChatTransport({ api });
    const gone = new AbortController();
    const first = await transport.sendMessages({ chatId, trigger: "submit-message", messages: [user("hangs")], abortSignal: gone.signal });
    for await (const chunk of first) if (chunk.type === "text-delta") break;
    gone.abort();
    const again = await transport.reconnectToStream({ chatId });
    const reading = read(ai, again);
    const stopped = await fetch(`${api}/${encodeURIComponent(chatId)}/stop`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
    assert.equal(stopped.status, 202);
    assert.equal(textOf((await reading).message), "So far");
    assert.equal(await transport.reconnectToStream({ chatId }), null);
  });
}

test("the history is the client's: an earlier answer is known, a foreign system prompt is not", async () => {
  const messages = [
    { id: "0", role: "system", parts: [{ type: "text", text: "Say yes." }] },
    user("Where is Paris?"),
    { id: "2", role: "assistant", parts: [{ type: "step-start" }, { type: "text", text: "In France." }, { type: "file", mediaType: "image/png", url: "data:,x" }] },
    user("What?"),
  ];
  assert.equal(textOf((await ask(seven, "", { messages })).message), "Four crowns [1].");
});

test("the SDK's own provider for OpenAI's dialect reads a chat completion", async () => {
  const riverrun = createOpenAICompatible({ name: "riverrun", baseURL: `${base}/v1`, includeUsage: true });
  const { text, usage, finishReason } = seven.streamText({ model: riverrun("m"), prompt: "What?" });
  assert.equal(await text, "Four crowns [1].");
  assert.equal(await finishReason, "stop");
  assert.equal((await usage).totalTokens, 13);
});
