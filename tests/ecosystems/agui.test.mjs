// AG-UI's own client, in the version of today and in the one that CopilotKit pins, unmodified.
import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpAgent } from "@ag-ui/client";
import { HttpAgent as OldAgent } from "ag-ui-client-0";

import { resumableFetch } from "./resumable_fetch.mjs";

const url = `${process.env.RIVERRUN_URL}/api/agui`;

/** Run an agent on one question, and note what it is told. */
async function run(Agent, content, more = {}) {
  const agent = new Agent({ url, initialMessages: [{ id: crypto.randomUUID(), role: "user", content }], ...more });
  const told = { errors: [], steps: [], custom: [] };
  const { result, newMessages } = await agent.runAgent({}, {
    onRunErrorEvent: ({ event }) => void told.errors.push(event.code),
    onStepStartedEvent: ({ event }) => void told.steps.push(event.stepName),
    onCustomEvent: ({ event }) => void told.custom.push(event.name),
  });
  return { agent, result, text: newMessages.map((message) => message.content).join(""), ...told };
}

for (const [name, Agent] of [["1.0", HttpAgent], ["0.0.59", OldAgent]]) {
  test(`${name}: an answer has its text, its steps, its state and its result`, async () => {
    const { agent, result, text, steps, errors } = await run(Agent, "What?");
    assert.deepEqual(errors, []);
    assert.equal(text, "Four crowns [1].");
    assert.equal(result.answer, text);
    assert.ok(steps.length >= 2);
    assert.ok(agent.state.sources.length > 0);
    assert.equal(agent.state.usage.inputTokens, 9);
  });

  test(`${name}: no failure looks like an answer`, async () => {
    for (const query of ["fails early", "fails late"]) {
      const { errors, result } = await run(Agent, query);
      assert.deepEqual([errors, result], [["provider_error"], undefined]);
    }
  });

  test(`${name}: a stop ends the run on the server, and what was said is its result`, async () => {
    const agent = new Agent({ url, initialMessages: [{ id: "1", role: "user", content: "hangs" }] });
    let stopped;
    const stop = () => fetch(`${url}/runs/${agent.state.riverrunId}/stop`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
    const { result } = await agent.runAgent({}, { onTextMessageContentEvent: () => void (stopped ??= stop()) });
    assert.equal((await stopped).status, 202);
    assert.deepEqual([result.answer, result.finishReason], ["So far", "cancelled"]);
  });
}

test("what is no text is refused, and thrown", async () => {
  const agent = new HttpAgent({ url, initialMessages: [{ id: "1", role: "user", content: [{ type: "image", source: { type: "url", value: "http://x/y" } }] }] });
  await assert.rejects(agent.runAgent(), /422|only text/);
});

test("with a fetch that reads on, a cut connection is not noticed", async () => {
  let cuts = 0;
  // Breaks the first two connections after a few events.
  const breaking = async (address, options) => {
    const response = await fetch(address, options);
    if (cuts === 2) return response;
    cuts += 1;
    let blocks = 0;
    const cut = new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk);
        if ((blocks += 1) === 3) controller.error(new TypeError("network error"));
      },
    });
    return new Response(response.body.pipeThrough(cut), response);
  };
  const { text, errors } = await run(HttpAgent, "What?", { fetch: resumableFetch(breaking) });
  // How often depends on how the network cuts what is left.
  assert.deepEqual([text, errors, cuts > 0], ["Four crowns [1].", [], true]);
});
