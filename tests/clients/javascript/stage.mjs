// The hook in React itself, in a document made by jsdom.
import assert from "node:assert/strict";
import { after } from "node:test";

import { load } from "./installed.mjs";

const { JSDOM } = await load("jsdom");
const dom = new JSDOM("<div id=root></div>");
Object.assign(globalThis, { window: dom.window, document: dom.window.document, IS_REACT_ACT_ENVIRONMENT: true });
after(() => dom.window.close());

export const { default: React } = await load("react");
const { createRoot } = await load("react-dom/client");
export const { useRiverrun, forget } = await import("../../../clients/javascript/src/react.js");
export const { act } = React;
const { createElement: h, StrictMode } = React;

/**
 * Render the hook; `shown` is what it gave last, `mount` and `unmount` do as they say. `options` may
 * be a function, asked at each rendering; `use` is called in the component.
 */
export function stage(options, { strict = true, use = () => {}, wrap = (tree) => tree } = {}) {
  const root = createRoot(document.createElement("div"));
  const it = { shown: null, renders: 0 };
  function Component() {
    it.shown = useRiverrun(typeof options === "function" ? options() : options);
    use(it.shown);
    it.renders += 1;
    return null;
  }
  const tree = () => wrap(strict ? h(StrictMode, null, h(Component)) : h(Component));
  it.render = () => root.render(tree());
  it.mount = () => act(() => root.render(tree()));
  it.hide = () => act(() => root.render(null));
  it.unmount = () => act(() => root.unmount());
  it.until = async (holds) => {
    for (let n = 0; n < 500; n += 1) {
      if (holds(it.shown)) return it.shown;
      await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
    }
    return assert.fail(`never happened: ${JSON.stringify(it.shown)}`);
  };
  return it;
}

