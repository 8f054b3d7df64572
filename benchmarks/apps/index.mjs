// The same handlers for the Node runtime client, in the two ways AWS documents.
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

const EVENT = Buffer.from(`${"data: w".padEnd(78, "x")}\n\n`);
const CHUNK = Buffer.alloc(64 * 1024);

async function* repeated(frame, count) {
  for (let index = 0; index < count; index++) yield frame;
}

async function* paced(count, seconds) {
  let due = process.hrtime.bigint();
  for (let index = 0; index < count; index++) {
    due += BigInt(Math.round(seconds * 1e9));
    await sleep(Number(due - process.hrtime.bigint()) / 1e6);
    yield Buffer.from(`data: ${due} ${process.hrtime.bigint()} w\n\n`);
  }
}

function source({ rawPath, queryStringParameters: asked = {} }) {
  const count = Number(asked.count ?? 1);
  if (rawPath.endsWith("/paced")) return paced(count, Number(asked.seconds ?? 0.005));
  return repeated(rawPath.endsWith("/chunks") ? CHUNK : EVENT, count);
}

function begun(stream) {
  const metadata = { statusCode: 200, headers: { "content-type": "text/event-stream" } };
  return awslambda.HttpResponseStream.from(stream, metadata);
}

export const piped = awslambda.streamifyResponse(async (event, stream) => {
  await pipeline(Readable.from(source(event)), begun(stream));
});

export const written = awslambda.streamifyResponse(async (event, stream) => {
  const body = begun(stream);
  for await (const frame of source(event)) {
    if (!body.write(frame)) await once(body, "drain");
  }
  body.end();
  await body.finished?.();
});
