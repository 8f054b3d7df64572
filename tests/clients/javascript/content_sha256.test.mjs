// What is posted carries the hash of its body, for a front that signs and reads no body.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { hashBodies } from "../../../clients/javascript/src/content_sha256.js";
import { stream } from "../../../clients/javascript/src/index.js";

test("a question carries the hash of its bytes, and a request without a body none", async () => {
  const asked = [];
  const fetch = hashBodies(async (url, init) => {
    asked.push([init?.body, new Headers(init?.headers)]);
    return new Response('data: {"type":"final","result":{"answer":"é"}}\n\n', {
      headers: { "Content-Type": "text/event-stream", "X-Run-Id": "0".repeat(32) },
    });
  });
  for await (const _ of stream("Où est l’hôtel ?", { endpoint: "http://host.example/api/chat", environment: { fetch } }));
  await fetch("http://host.example/");
  const [[body, headers], [none, bare]] = asked;
  assert.equal(headers.get("x-amz-content-sha256"), createHash("sha256").update(body).digest("hex"));
  assert.equal(headers.get("content-type"), "application/json");
  assert.equal(none, undefined);
  assert.equal(bare.has("x-amz-content-sha256"), false);
});
