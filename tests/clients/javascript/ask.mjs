// `node ask.mjs ADDRESS QUERY [JSON]` reads one answer with the client and prints what it saw.
import { eventSourceTransport } from "../../../clients/javascript/src/eventsource.js";
import { stream } from "../../../clients/javascript/src/index.js";
import { EventSource } from "../../functions/snippets/event_source.mjs";

const [endpoint, query, more = "{}"] = process.argv.slice(2);
const { stopAt = 0, transport, silence = 35_000, retryPolicy, real = false, ...options } = JSON.parse(more);
globalThis.EventSource ??= EventSource;

const seen = { events: [], ids: [], waits: 0, requests: 0, stopped: null, error: null };
const run = stream(query, {
  endpoint,
  ...options,
  retryPolicy: { silence, ...retryPolicy },
  ...(transport === "eventsource" && { transport: eventSourceTransport }),
  onRetry: () => (seen.waits += 1),
  environment: {
    fetch: (...asked) => {
      seen.requests += 1;
      return fetch(...asked);
    },
    // A test does not wait, unless its server needs `real` time; silence and a stop always do.
    timer(go, ms) {
      const timer = setTimeout(go, real || ms === silence || ms === 4_000 ? ms : Math.min(ms, 50));
      return () => clearTimeout(timer);
    },
  },
});
try {
  for await (const event of run) {
    seen.events.push(event);
    seen.ids.push(run.cursor);
    if (seen.events.length === stopAt) seen.stopped = await run.stop();
  }
} catch ({ name, code, retryable, partial, message }) {
  seen.error = { name, code, retryable, partial, message };
}
process.stdout.write(JSON.stringify(seen));
