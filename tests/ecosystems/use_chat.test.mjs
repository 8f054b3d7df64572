// `useChat` in a page (jsdom and React), unmodified: an answer, a reload in the middle of one, a
// stop that stops on the server.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><div id=root></div>", { url: "http://localhost/" });
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: false });
const { createElement } = await import("react");
const { createRoot } = await import("react-dom/client");
const { useChat } = await import("@ai-sdk/react");
const { DefaultChatTransport } = await import("ai");

const api = `${process.env.RIVERRUN_URL}/api/ui/chat`;
after(() => window.close());

/** A page with one chat; `seen` is what its hook gave at the last rendering. */
function openPage(id, options = {}) {
  const seen = {};
  const transport = new DefaultChatTransport({ api });
  function Chat() {
    Object.assign(seen, useChat({ id, transport, ...options }));
    return createElement("p", null, seen.status);
  }
  const host = window.document.createElement("div");
  const root = createRoot(host);
  root.render(createElement(Chat));
  return { seen, close: () => root.unmount() };
}

async function until(met) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (met()) return;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`never happened: ${met}`);
}

const textOf = (message) => (message?.parts ?? []).filter(({ type }) => type === "text").map(({ text }) => text).join("");

test("a question is answered, with steps and sources in the message", async () => {
  const page = openPage(crypto.randomUUID());
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
  const page = openPage(crypto.randomUUID());
  await until(() => page.seen.sendMessage);
  void page.seen.sendMessage({ text: "fails late" });
  await until(() => page.seen.status === "error");
  assert.match(page.seen.error.message, /\w/);
  assert.equal(textOf(page.seen.messages[1]), "Half");
  page.close();
});

test("after a reload in the middle of an answer it goes on, and is stopped by its chat", async () => {
  const id = crypto.randomUUID();
  const first = openPage(id);
  await until(() => first.seen.sendMessage);
  void first.seen.sendMessage({ text: "hangs" });
  await until(() => textOf(first.seen.messages?.[1]) === "So far");
  const kept = structuredClone(first.seen.messages.slice(0, 1));
  first.close();

  const second = openPage(id, { messages: kept, resume: true });
  await until(() => textOf(second.seen.messages?.[1]) === "So far" && second.seen.status === "streaming");
  const stop = await fetch(`${api}/${id}/stop`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  assert.equal(stop.status, 202);
  await until(() => second.seen.status === "ready");
  assert.equal(second.seen.messages.length, 2);
  assert.equal(textOf(second.seen.messages?.[1]), "So far");
  second.close();
});
