// An answer that takes longer than a body may: an agent with the documented `fetch` has all of it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpAgent } from "@ag-ui/client";
import { HttpAgent as OldAgent } from "ag-ui-client-0";

import { resumableFetch } from "./resumable_fetch.mjs";

for (const Agent of [HttpAgent, OldAgent]) {
  test("it is read on from body to body", async () => {
    const bodies = [];
    const counting = async (...request) => {
      const began = Date.now();
      const body = await fetch(...request);
      bodies.push(`${body.status} ${request[0].split("?")[1]} after ${Date.now() - began} ms`);
      return body;
    };
    const agent = new Agent({
      url: `${process.env.RIVERRUN_URL}/api/agui`,
      initialMessages: [{ id: "1", role: "user", content: "takes long" }],
      fetch: resumableFetch(counting),
    });
    const { result } = await agent.runAgent().catch((problem) => assert.fail([problem, ...bodies].join("\n")));
    assert.equal(result.answer, Array.from({ length: 40 }, (_, number) => `${number} `).join(""));
    assert.ok(bodies.length > 1);
  });
}
