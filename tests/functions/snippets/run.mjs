// `node run.mjs` runs a client for each line of its input, `[WHAT, ADDRESS, QUERY]` in JSON, one
// after the other, and prints what each heard as one JSON line. A client that throws ends it.
import { createInterface } from "node:readline";

import { Analytics, askByEventSource, askByFetch, askWithRetries, useChat } from "./clients.mjs";
import { EventSource as Small } from "./event_source.mjs";

const EventSource = globalThis.EventSource ?? Small;

function listen(address, query) {
  const heard = { statuses: [], finals: [], errors: [], lost: 0, attempts: 0, waits: [], trouble: 0 };
  const ears = {
    status: (status) => heard.statuses.push(status),
    final: (result) => heard.finals.push(result),
    error: (error) => heard.errors.push(error.message ?? error),
    lost: () => heard.lost++,
    attempt: () => heard.attempts++,
    trouble: () => heard.trouble++,
  };

  const clients = {
    fetch: () => askByFetch(address, query, ears),

    eventSource: () =>
      new Promise((resolve) => {
        const source = askByEventSource(EventSource, address, query, ears);
        const poll = setInterval(() => {
          if (source.readyState !== 2) return;
          clearInterval(poll);
          resolve();
        }, 5);
      }),

    // One that leaves the reconnecting to the browser, and ends when the browser gives up.
    patient: () =>
      new Promise((resolve) => {
        const source = new Small(`${address}?query=${encodeURIComponent(query)}&streaming=true`);
        source.onmessage = ({ data }) => {
          const { result } = JSON.parse(data);
          if (result) ears.final(result);
        };
        source.onerror = () => source.readyState === 2 && resolve();
      }).then(() => {
        heard.requests = Small.requests;
      }),

    retries: () =>
      askWithRetries(address, query, ears, 3, async (wait) => heard.waits.push(wait)).catch(
        (error) => {
          heard.thrown = error.message;
        },
      ),

    analytics: async () => {
      const analytics = new Analytics();
      for (const one of query.split("|")) await analytics.track(address, one);
      heard.report = analytics.report();
    },

    hook: async () => {
      const state = [];
      let next = 0;
      const useState = (initial) => {
        const at = next++;
        if (!(at in state)) state[at] = initial;
        return [state[at], (value) => (state[at] = value)];
      };
      const render = () => {
        next = 0;
        return useChat({ useState }, address);
      };
      const started = render().start(query);
      heard.during = render();
      await started;
      heard.after = render();
    },
  };
  return { heard, clients };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, address, query] = JSON.parse(line);
  const { heard, clients } = listen(address, query);
  Small.requests = [];
  await clients[what]();
  process.stdout.write(`${JSON.stringify(heard)}\n`);
}
