// A page (jsdom and React) with one chat in it, as `useChat` of the published package makes it.
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><div id=root></div>", { url: "http://localhost/" });
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: false });
const { createElement } = await import("react");
const { createRoot } = await import("react-dom/client");
const { useChat } = await import("@ai-sdk/react");
const { DefaultChatTransport } = await import("ai");

/** Open a chat; `seen` is what its hook gave at the last rendering. */
export function openPage(id, api, options = {}) {
  const seen = {};
  const transport = new DefaultChatTransport({ api });
  function Chat() {
    Object.assign(seen, useChat({ id, transport, ...options }));
    return createElement("p", null, seen.status);
  }
  const root = createRoot(window.document.createElement("div"));
  root.render(createElement(Chat));
  return { seen, close: () => root.unmount() };
}

export function closeWindow() {
  window.close();
}
