/**
 * `useRiverrun()`: an answer while it is written, in a React component.
 *
 * The stream belongs to the `id`, not to the component: a component that unmounts, mounts twice
 * (StrictMode) or mounts elsewhere finds the same answer, and there is one stream for it. A tab
 * that sleeps reads on from its cursor when it wakes (`stream.js`).
 */
import { useState, useSyncExternalStore } from "react";

import { createAnswer, emptyAnswer } from "./answer.js";

/**
 * @typedef {ReturnType<typeof createAnswer>} Store
 * @typedef {import("./answer.js").Answer & Pick<Store, "start" | "stop" | "resume">} Riverrun
 */

/** @type {Map<string, Store>} */
const stores = new Map();

/**
 * The answer of `id`, and what can be done about it. Without `id` the answer is the component's
 * own and goes with it. The other options are those of `stream`; the first to name an `id` says
 * them.
 *
 * @param {import("./stream.js").StreamOptions & {id?: string}} [options]
 * @returns {Riverrun}
 */
export function useRiverrun({ id, ...options } = {}) {
  const [own] = useState(() => createAnswer(options));
  const store = id === undefined ? own : shared(id, options);
  const answer = useSyncExternalStore(store.subscribe, store.getSnapshot, emptyAnswer);
  return { ...answer, start: store.start, stop: store.stop, resume: store.resume };
}

/** Forget the answer of an `id`, after its last component. @param {string} id */
export function forget(id) {
  stores.delete(id);
}

/** @type {(id: string, options: import("./stream.js").StreamOptions) => Store} */
function shared(id, options) {
  const known = stores.get(id) ?? createAnswer(options);
  stores.set(id, known);
  return known;
}
