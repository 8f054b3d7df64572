// assistant-ui in a page (jsdom and React), unmodified: its own composer, its own messages.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html>", { url: "http://localhost/", pretendToBeVisual: true });
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: false });
for (const name of ["HTMLElement", "Element", "Node", "Event", "MutationObserver", "sessionStorage", "getComputedStyle", "requestAnimationFrame", "cancelAnimationFrame"]) globalThis[name] ??= window[name];
// What jsdom does not lay out.
globalThis.ResizeObserver = class { observe() {} unobserve() {} disconnect() {} };
const { createElement: h } = await import("react");
const { createRoot } = await import("react-dom/client");
const { AssistantRuntimeProvider, ComposerPrimitive, ErrorPrimitive, MessagePrimitive, ThreadPrimitive } = await import("@assistant-ui/react");
const { AssistantChatTransport, createResumableSessionStorage, useChatRuntime } = await import("@assistant-ui/react-ai-sdk");
const { until } = await import("./until.mjs");

const base = process.env.RIVERRUN_URL;
const fetchAnywhere = globalThis.fetch;
globalThis.fetch = (address, options) => fetchAnywhere(new URL(address, base), options);
after(() => window.close());

const Parts = () =>
  h(MessagePrimitive.Parts, {
    components: {
      Text: ({ text }) => h("p", { className: "text" }, text),
      Source: ({ title }) => h("cite", null, title),
      data: { by_name: { status: ({ data }) => h("li", null, data.description) } },
    },
  });
const Said = () =>
  h(MessagePrimitive.Root, null, h(Parts), h(MessagePrimitive.Error, null, h(ErrorPrimitive.Root, null, h(ErrorPrimitive.Message))));
const Asked = () => h(MessagePrimitive.Root, { className: "asked" }, h(MessagePrimitive.Parts));

/** A page with the lines of docs/ai-sdk.md, which a test compares. */
function openPage() {
  const transport = new AssistantChatTransport({
    api: "/api/ui/chat",
    resumable: {
      storage: createResumableSessionStorage(),
      resumeApi: (run) => `/api/ui/runs/${run}/stream`,
      isFinishEvent: (_, text) => /"type":"(finish|abort|error)"/.test(text),
    },
  });
  function App() {
    const runtime = useChatRuntime({ transport });
    const thread = h(ThreadPrimitive.Messages, { components: { UserMessage: Asked, AssistantMessage: Said } });
    const composer = h(ComposerPrimitive.Root, null, h(ComposerPrimitive.Input), h(ComposerPrimitive.Send, { id: "send" }), h(ComposerPrimitive.Cancel, { id: "cancel" }));
    return h(AssistantRuntimeProvider, { runtime }, h(ThreadPrimitive.Root, null, thread, composer));
  }
  const host = window.document.body.appendChild(window.document.createElement("main"));
  const root = createRoot(host);
  root.render(h(App));
  return {
    all: (selector) => [...host.querySelectorAll(selector)].map((node) => node.textContent),
    find: (selector) => host.querySelector(selector),
    text: () => host.textContent,
    close: () => (root.unmount(), host.remove()),
  };
}

const keptName = () => window.sessionStorage.getItem("aui-resumable-stream-id");

async function send(page, text) {
  await until(() => page.find("textarea"));
  const field = page.find("textarea");
  Object.getOwnPropertyDescriptor(window.HTMLTextAreaElement.prototype, "value").set.call(field, text);
  field.dispatchEvent(new window.Event("input", { bubbles: true }));
  await until(() => page.find("#send") && !page.find("#send").disabled);
  page.find("#send").click();
}

test("a question is sent, its steps and sources are shown, and its answer", async () => {
  const page = openPage();
  await send(page, "What?");
  await until(() => page.all(".text").includes("Four crowns [1]."));
  await until(() => keptName() === null);
  assert.ok(page.all("li").length >= 2);
  assert.ok(page.all("cite").length > 0);
  page.close();
});

test("a failure is shown as one, and keeps what was said", async () => {
  const page = openPage();
  await send(page, "fails late");
  await until(() => /failed|try/i.test(page.text().replace("fails late", "")));
  assert.ok(page.all(".text").includes("Half"));
  page.close();
});

test("after a reload in mid-answer it is read on, and a stop ends it on the server", async () => {
  const first = openPage();
  await send(first, "hangs");
  await until(() => first.all(".text").includes("So far"));
  const run = keptName();
  assert.match(run, /^[0-9a-f]{32}$/);
  // A reload ends a page without a word to it: only what it kept in the session is left.
  first.close();

  const second = openPage();
  await until(() => second.all(".text").includes("So far"));
  const stop = await fetch(`/api/chat/runs/${run}/stop`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  assert.equal(stop.status, 202);
  await until(() => keptName() === null);
  assert.ok(second.all(".text").includes("So far"));
  second.close();
});
