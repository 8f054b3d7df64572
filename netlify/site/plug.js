/**
 * The plug: in development, the cloud on this machine can kill the function that is writing an
 * answer. It says so with the page (`Server-Timing`), so that no other server is ever asked.
 */
const ADDRESS = "/.riverrun/plug";

/** Whether the functions behind this page can be killed from it. */
export function hasPlug() {
  const [page] = performance.getEntriesByType("navigation");
  return page?.serverTiming?.some(({ name }) => name === "riverrun-plug") ?? false;
}

/** Kill the functions that are writing. True when they were killed. */
export async function pullPlug() {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(ADDRESS, { method: "POST", headers, body: "{}" }).catch(() => null);
  return response?.ok === true;
}
