// node ask.mjs http://localhost:8888 "What is there to see in Paris?"    (or: deno run -A, bun)
import process from "node:process";

import { RiverrunError, stream } from "@riverrun/client";

const [server, question] = process.argv.slice(2);
try {
  const { answer, sources } = await stream(question, {
    endpoint: `${server}/api/chat`,
    onStatus: ({ description }) => console.error(`- ${description}`),
  }).result;
  console.log(answer);
  for (const [at, { title }] of sources.entries()) console.log(`[${at + 1}] ${title}`);
} catch (error) {
  if (!(error instanceof RiverrunError)) throw error;
  console.error(error.message, error.hint);
  process.exitCode = 1;
}
