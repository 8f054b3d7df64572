// Owners list and delete what is theirs, with the tries of a stream.
import assert from "node:assert/strict";
import { test } from "node:test";

import { deleteRun, deleteSession, listRuns } from "../../../clients/javascript/src/runs.js";
import { hasty, reply, serve } from "./scripted.mjs";

const done = (response) => response.writeHead(204).end();
const lose = (response) => response.destroy();
const missing = reply(404, { type: "error", error: "No.", code: "not_found", retryable: false });

test("runs are listed, and runs and sessions deleted, each by its own request", async () => {
  const listed = reply(200, { runs: [{ runId: "r" }] });
  await serve([listed, done, done], async ({ endpoint, seen }) => {
    const options = { endpoint: `${endpoint}?stage=x`, environment: hasty(), headers: { Authorization: "Bearer k" } };
    assert.deepEqual(await listRuns({ ...options, limit: 5 }), [{ runId: "r" }]);
    await deleteRun("a run", options);
    await deleteSession("a/b ?", options);
    assert.deepEqual(
      seen.map(({ method, url }) => `${method} ${url}`),
      ["GET /api/chat/runs?limit=5&stage=x", "DELETE /api/chat/runs/a%20run?stage=x", "DELETE /api/chat/sessions/a%2Fb%20%3F?stage=x"],
    );
    assert.ok(seen.every(({ headers }) => headers.authorization === "Bearer k"));
  });
});

test("a deletion is asked for again, and one whose answer was lost has happened", async () => {
  await serve([reply(503, null), done], ({ endpoint }) => deleteRun("r", { endpoint, environment: hasty() }));
  await serve([lose, missing], ({ endpoint }) => deleteRun("r", { endpoint, environment: hasty() }));
});

test("what is not there is an error, and who aborts asks no more", async () => {
  await serve([missing], async ({ endpoint }) => {
    await assert.rejects(deleteRun("r", { endpoint, environment: hasty() }), { code: "not_found" });
    await assert.rejects(deleteRun("r", { endpoint, signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});
