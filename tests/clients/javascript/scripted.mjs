// A server that answers as it is told, one request after the other, and a client that does not wait.
import { createServer } from "node:http";

export const TYPE = { "Content-Type": "text/event-stream", "X-Run-Id": "run" };
export const status = { type: "status", status: { step: 1, description: "x", status: "executing", timestamp: 1 } };
export const final = { type: "final", result: { answer: "ab", finishReason: "stop" } };
export const token = (text) => ({ type: "token", text });
export const frame = (seq, event, run = "run") => `id: ${run}-${seq}\ndata: ${JSON.stringify(event)}\n\n`;
export const everything = [status, token("a"), token("b"), final];
export const whole = everything.map((event, at) => frame(at + 1, event)).join("");

/**
 * Serve `answers` one after the other (the last for ever); requests to stop go to `stops`, and are
 * answered by `stopAnswers` in the same way (202 without).
 */
export async function serve(answers, use, stopAnswers = [(response) => response.writeHead(202).end()]) {
  const seen = [];
  const stops = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (/\/stop(\?|$)/.test(request.url)) {
      stops.push(request.url);
      stopAnswers[Math.min(stops.length, stopAnswers.length) - 1](response, request);
      if (response.statusCode === 202) server.emit("stopped");
      return;
    }
    seen.push({ method: request.method, url: request.url, headers: request.headers, body });
    answers[Math.min(seen.length, answers.length) - 1](response, server, seen.at(-1));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${server.address().port}/api/chat`;
  try {
    await use({ endpoint, seen, stops, server });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

export const streamed = (text) => (response) => response.writeHead(200, TYPE).end(text);
export const cutAfter = (text) => (response) => {
  response.writeHead(200, TYPE);
  if (text === "") response.destroy();
  else response.write(text, () => response.destroy());
};
export const reply =
  (code, body, headers = {}) =>
  (response) =>
    response.writeHead(code, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));

/** Waits end at once; only what watches the wire (`slow` or longer) and a stop takes its time. */
export const hasty = (slow = 35_000) => ({
  random: () => 0.4, // half of a doubled second would be the four that a stop takes
  timer(run, ms) {
    const timer = setTimeout(run, ms >= slow || ms === 4_000 ? ms : 0);
    return () => clearTimeout(timer);
  },
});

/**
 * The same, where silence passes when a test says so: `pass` ends it for what is waited for now, and
 * `onSilence` is called whenever one begins.
 */
export function still(silence = 35_000) {
  const waiting = new Set();
  const { timer, random } = hasty();
  const environment = {
    random,
    onSilence() {},
    pass: () => [...waiting].forEach((run) => run()),
    timer(run, ms) {
      if (ms !== silence) return timer(run, ms);
      waiting.add(run);
      queueMicrotask(environment.onSilence);
      return () => waiting.delete(run);
    },
  };
  return environment;
}
