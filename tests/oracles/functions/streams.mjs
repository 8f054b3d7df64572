// Handlers for AWS's Node runtime client: the ways in which a Node function streams.

import net from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const { HttpResponseStream, streamifyResponse } = globalThis.awslambda;

// Query parameters of either payload format, or the payload itself when an SDK sent it.
const asked = (event) =>
  new URLSearchParams(event.rawQueryString ?? event.queryStringParameters ?? event);

// data: 0, 1, 2; each but the first is released at the gate, where there is one.
async function* frames(event) {
  const port = asked(event).get("gate");
  const gate = port ? net.connect(Number(port), "127.0.0.1") : null;
  try {
    for (let number = 0; number < 3; number += 1) {
      if (gate && number) {
        gate.write("?");
        await new Promise((resolve) => gate.once("data", resolve));
      }
      yield `data: ${number}\n\n`;
    }
  } finally {
    gate?.destroy();
  }
}

const prelude = {
  statusCode: 201,
  headers: { "content-type": "text/event-stream", "x-runtime": "node" },
  cookies: ["a=1; Path=/", "b=2"],
};

export const web = streamifyResponse(async (event, stream) => {
  const http = HttpResponseStream.from(stream, prelude);
  for await (const frame of frames(event)) http.write(frame);
  http.end();
});

export const piped = streamifyResponse(async (event, stream) => {
  await pipeline(Readable.from(frames(event)), HttpResponseStream.from(stream, prelude));
});

export const raw = streamifyResponse(async (event, stream) => {
  stream.setContentType("text/plain");
  for await (const frame of frames(event)) stream.write(frame);
  stream.end();
});

export const broken = streamifyResponse(async (event, stream) => {
  const body = event.rawPath || event.path ? HttpResponseStream.from(stream, prelude) : stream;
  for await (const frame of frames(event)) {
    body.write(frame);
    throw Object.assign(new Error("upstream closed"), { name: "Runtime.StreamError" });
  }
});

export const unstarted = streamifyResponse(async () => {
  throw new TypeError("nothing was written");
});

export const large = streamifyResponse(async (event, stream) => {
  await pipeline(Readable.from([Buffer.alloc(7_000_000, "x")]), stream);
});

export const buffered = async (event, context) => {
  if (event.raise) throw new RangeError("no");
  return {
    statusCode: 200,
    headers: { "content-type": "text/plain" },
    body: `${context.functionName} ${event.rawPath ?? event.path}`,
  };
};
