/**
 * The machine around a client: its clock, its random numbers, its network, and what wakes it. Everything
 * here can be replaced by a test, or by a host that has other means.
 */

/**
 * @typedef {{
 *   fetch: typeof globalThis.fetch,
 *   random: () => number,
 *   now: () => number,
 *   timer: (run: () => void, ms: number) => () => void,
 *   isOnline: () => boolean,
 *   onWake: (wake: (online: boolean) => void) => () => void,
 * }} Environment
 *
 * `now` is in milliseconds and goes on while the machine sleeps. `timer` returns what cancels it.
 * `onWake` calls back with `true`
 * when there is a network again, with `false` when the page is looked at again; it returns what ends that.
 */

/** @type {() => Environment} */
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
