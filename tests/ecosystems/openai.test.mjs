// OpenAI's own library for Node, unmodified.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI, { APIError } from "openai";

const client = new OpenAI({ baseURL: `${process.env.RIVERRUN_URL}/v1`, apiKey: "none", maxRetries: 0 });
const messages = (content) => [{ role: "user", content }];

test("a chat completion is streamed, its statuses beside it", async () => {
  const stream = await client.chat.completions.create({ model: "m", stream: true, stream_options: { include_usage: true }, messages: messages("What?") });
  let text = "";
  let usage = null;
  const events = [];
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
    if (chunk.event) events.push(chunk.event.type);
  }
  assert.equal(text, "Four crowns [1].");
  assert.equal(usage.total_tokens, 13);
  assert.deepEqual(new Set(events), new Set(["status", "source"]));
});

test("the stream helper puts the same message together", async () => {
  const helper = client.chat.completions.stream({ model: "m", messages: messages("What?") });
  assert.equal((await helper.finalChatCompletion()).choices[0].message.content, "Four crowns [1].");
});

for (const query of ["fails early", "fails late"]) {
  test(`"${query}" is thrown, streamed or not`, async () => {
    const read = async (stream) => {
      const answer = await client.chat.completions.create({ model: "m", stream, messages: messages(query) });
      if (stream) for await (const chunk of answer) assert.ok(chunk);
    };
    for (const stream of [true, false]) {
      await assert.rejects(read(stream), (error) => error instanceof APIError && error.code === "provider_error");
    }
  });
}

test("a response is streamed, and read on after any number", async () => {
  const stream = client.responses.stream({ model: "m", input: "What?" });
  const events = [];
  for await (const event of stream) events.push(event);
  const whole = await stream.finalResponse();
  assert.equal(whole.output_text, "Four crowns [1].");
  assert.ok(whole.output[0].content[0].annotations.length > 0);
  for (const after of [0, 5, events.length - 2]) {
    const rest = [];
    for await (const event of await client.responses.retrieve(whole.id, { stream: true, starting_after: after })) rest.push(event);
    assert.deepEqual(rest.map((event) => event.sequence_number), events.slice(after + 1).map((event) => event.sequence_number));
    const again = client.responses.stream({ response_id: whole.id, starting_after: after });
    assert.equal((await again.finalResponse()).output_text, "Four crowns [1].");
  }
});

test("a failed response is told as failed", async () => {
  const types = [];
  for await (const event of await client.responses.create({ model: "m", input: "fails late", stream: true })) types.push(event.type);
  assert.equal(types.at(-1), "response.failed");
});

test("a cancelled response stops on the server", async () => {
  const stream = await client.responses.create({ model: "m", input: "hangs", stream: true });
  let last;
  let id = "";
  for await (const event of stream) {
    last = event;
    if (event.type === "response.created") id = event.response.id;
    if (event.type === "response.output_text.delta") await client.responses.cancel(id);
  }
  assert.deepEqual([last.type, last.response.status], ["response.incomplete", "cancelled"]);
});
