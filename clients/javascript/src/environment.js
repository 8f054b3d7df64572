/**
 * The machine around a client: its clock, its random numbers, its network, and what wakes it. Everything
 * here can be replaced by a test, or by a host that has other means.
 */

/** @type {() => import("./types.js").Environment} */
export const defaultEnvironment = () => ({
  fetch: (...asked) => fetch(...asked),
  random: Math.random,
  now: Date.now,
  timer(run, ms) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  isOnline: () => globalThis.navigator?.onLine !== false,

  onWake(wake) {
    const listener = (/** @type {Event} */ { type }) => wake(type === "online");
    const all = (/** @type {"addEventListener" | "removeEventListener"} */ verb) => {
      globalThis[verb]?.("online", listener);
      globalThis.document?.[verb]?.("visibilitychange", listener);
    };
    all("addEventListener");
    return () => all("removeEventListener");
  },
});
