/**
 * Has the server delete what was deleted here: the session of a conversation, or the runs of one that
 * never had a session. It waits until that cannot be undone any more; what the server could not be
 * told is kept, and told at the next visit.
 */
import { brand } from "./say.js";

const NAME = "riverrun-forget";
const UNDO_MS = 10_000;
const AGAIN = new Set([0, 401, 408, 429]); // and what is at fault with the server: ask again

/** Returns `forget(paths)`, which returns its undoing. `keys` has the headers of each request. */
export function openForgetting(keys, storage = localStorage) {
  const mine = new Set(); // added by this page, whose undoing goes with it
  for (const one of read(storage)) arm(one);
  addEventListener("pagehide", () => {
    for (const path of mine) void send(path, keys.headers());
  });

  function arm({ path, at }) {
    setTimeout(() => tell(path), Math.max(0, at + UNDO_MS - Date.now()));
  }

  async function tell(path) {
    if (!mine.delete(path) && !read(storage).some((one) => one.path === path)) return; // undone
    const status = await send(path, keys.headers());
    if (!AGAIN.has(status) && status < 500) drop(path);
  }

  const drop = (path) => write(storage, read(storage).filter((one) => one.path !== path));

  return (paths) => {
    for (const path of paths) {
      const one = { path, at: Date.now() };
      write(storage, [...read(storage), one]);
      mine.add(path);
      arm(one);
    }
    return () => {
      for (const path of paths) {
        mine.delete(path);
        drop(path);
      }
    };
  };
}

/** The status of the answer, 0 without one. It is sent also while the page goes. */
async function send(path, headers) {
  const asked = { method: "DELETE", headers, keepalive: true };
  const response = await fetch(brand.endpoint + path, asked).catch(() => null);
  return response?.status ?? 0;
}

function read(storage) {
  try {
    const kept = JSON.parse(storage.getItem(NAME)) ?? [];
    return kept.filter(({ path, at }) => /^\/(sessions|runs)\/[^/?#]+$/.test(path) && Number.isFinite(at));
  } catch {
    return []; // storage may be forbidden, and what it holds another program's
  }
}

function write(storage, kept) {
  try {
    if (kept.length > 0) storage.setItem(NAME, JSON.stringify(kept.slice(-100)));
    else storage.removeItem(NAME);
  } catch {
    // Forbidden or full: this page tells the server, and no later one does.
  }
}
