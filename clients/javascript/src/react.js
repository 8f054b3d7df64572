"use client";
/**
 * `useRiverrun()`: an answer while it is written, in a React component.
 *
 * With an `id` the answer belongs to the `id`, not to the component: a component that unmounts,
 * mounts twice (StrictMode) or mounts elsewhere finds the same answer, and there is one stream for
 * it, until `forget(id)`. Without, it is the component's own: unmounting closes its connection.
 */
import { useEffect, useInsertionEffect, useState, useSyncExternalStore } from "react";

import { createAnswer, emptyAnswer } from "./answer.js";

/** @typedef {ReturnType<typeof createAnswer>} Store */

/** @type {Map<string, Store>} */
const stores = new Map();

/**
 * The answer of `id`, and what can be done about it. The other options are those of `stream`, as
 * the latest rendering said them; where several components share an `id`, all their options count.
 *
 * @param {import("./types.js").RiverrunOptions} [options]
 * @returns {import("./types.js").Riverrun}
 */
export function useRiverrun({ id, ...options } = {}) {
  const [own] = useState(createAnswer);
  const store = id === undefined ? own : shared(id);
  // Before the effects of any component, which may start.
  useInsertionEffect(() => store.setOptions(own, options));
  useInsertionEffect(() => () => store.setOptions(own), [store]);
  useEffect(own.mount, []);
  const answer = useSyncExternalStore(store.subscribe, store.getSnapshot, emptyAnswer);
  return { ...answer, start: store.start, stop: store.stop, resume: store.resume };
}

/**
 * Forget the answer of an `id` and close its connection, as when another person logs in. The run
 * goes on; `stop` it before where it should not.
 *
 * @param {string} id
 */
export function forget(id) {
  const store = stores.get(id);
  stores.delete(id);
  store?.clear();
}

/** @type {(id: string) => Store} */
function shared(id) {
  const store = stores.get(id) ?? createAnswer();
  // A server renders for many people, and keeps nothing for them.
  if (globalThis.window) stores.set(id, store);
  return store;
}
