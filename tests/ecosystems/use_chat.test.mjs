// `useChat` in a page (jsdom and React), unmodified: an answer, a reload in the middle of one, a
// stop that stops on the server.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { closeWindow, openPage } from "./page.mjs";
import { textOf, until } from "./until.mjs";

const api = `${process.env.RIVERRUN_URL}/api/ui/chat`;
after(closeWindow);

test("a question is answered, with steps and sources in the message", async () => {
  const page = openPage(crypto.randomUUID(), api);
  await until(() => page.seen.sendMessage);
  void page.seen.sendMessage({ text: "What?" });
  await until(() => page.seen.status === "ready" && page.seen.messages.length === 2);
  const answer = page.seen.messages[1];
  assert.equal(textOf(answer), "Four crowns [1].");
  assert.ok(answer.parts.some(({ type }) => type === "data-status"));
  assert.equal(answer.metadata.finishReason, "stop");
  page.close();
});

test("a failure is an error, never an answer that is ready", async () => {
  const page = openPage(crypto.randomUUID(), api);
  await until(() => page.seen.sendMessage);
  void page.seen.sendMessage({ text: "fails late" });
  await until(() => page.seen.status === "error");
  assert.match(page.seen.error.message, /\w/);
  assert.equal(textOf(page.seen.messages[1]), "Half");
  page.close();
});

test("after a reload in the middle of an answer it goes on, and is stopped by its chat", async () => {
  const id = crypto.randomUUID();
  const first = openPage(id, api);
  await until(() => first.seen.sendMessage);
  void first.seen.sendMessage({ text: "hangs" });
  await until(() => textOf(first.seen.messages?.[1]) === "So far");
  const kept = structuredClone(first.seen.messages.slice(0, 1));
  first.close();

  const second = openPage(id, api, { messages: kept, resume: true });
  await until(() => textOf(second.seen.messages?.[1]) === "So far" && second.seen.status === "streaming");
  const stop = await fetch(`${api}/${id}/stop`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  assert.equal(stop.status, 202);
  await until(() => second.seen.status === "ready");
  assert.equal(second.seen.messages.length, 2);
  assert.equal(textOf(second.seen.messages?.[1]), "So far");
  second.close();
});
