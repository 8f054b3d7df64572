// A function whose time is over in the middle of an answer: no client takes the half for the whole.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { HttpAgent } from "@ag-ui/client";
import { DefaultChatTransport, readUIMessageStream } from "ai";
import OpenAI, { APIError } from "openai";

const base = process.env.RIVERRUN_URL;
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });

describe("a deadline", { concurrency: true }, () => {
  test("a chat completion is thrown", async () => {
    const read = async () => {
      const stream = await client.chat.completions.create({ model: "m", stream: true, messages: [{ role: "user", content: "hangs" }] });
      for await (const chunk of stream) assert.ok(chunk);
    };
    await assert.rejects(read(), (error) => error instanceof APIError && error.code === "deadline");
  });

  test("a response is failed", async () => {
    let last;
    for await (const event of await client.responses.create({ model: "m", input: "hangs", stream: true })) last = event;
    assert.equal(last.type, "response.failed");
    assert.match(JSON.stringify(last.response.error), /deadline/);
  });

  test("a message of the AI SDK ends in an error and keeps what it said", async () => {
    const transport = new DefaultChatTransport({ api: `${base}/api/ui/chat` });
    const messages = [{ id: "1", role: "user", parts: [{ type: "text", text: "hangs" }] }];
    const stream = await transport.sendMessages({ chatId: crypto.randomUUID(), trigger: "submit-message", messages });
    let last;
    let problem = null;
    const onError = (error) => (problem = error);
    for await (const message of readUIMessageStream({ stream, onError, terminateOnError: false })) last = message;
    assert.match(problem.message, /\w/);
    // How far it got in its time, the machine decides.
    const text = last.parts.filter(({ type }) => type === "text").map((part) => part.text).join("");
    assert.ok("So far".startsWith(text));
  });

  test("AG-UI is told RUN_ERROR, and gets no result", async () => {
    const agent = new HttpAgent({ url: `${base}/api/agui`, initialMessages: [{ id: "1", role: "user", content: "hangs" }] });
    const codes = [];
    const { result } = await agent.runAgent({}, { onRunErrorEvent: ({ event }) => void codes.push(event.code) });
    assert.deepEqual([codes, result], [["deadline"], undefined]);
  });
});
