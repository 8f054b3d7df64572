/** Sends what a reader thinks of an answer to the server, which keeps it with the run. */
import { brand } from "./say.js";

/** "kept", "refused" where the server keeps no feedback, "lost" where it cannot be reached. */
export async function sendFeedback(runId, feedback, headers) {
  const url = `${brand.endpoint}/runs/${encodeURIComponent(runId)}/feedback`;
  const asked = { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(feedback) };
  const response = await fetch(url, asked).catch(() => null);
  if (response?.ok) return "kept";
  return [404, 405].includes(response?.status) ? "refused" : "lost";
}
