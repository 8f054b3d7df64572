// `node host.mjs OPTIONS` or `deno run -A host.mjs OPTIONS` serves the gateway as Netlify does: plain
// requests in, plain responses out, the environment behind `Netlify.env`. Prints its port.
const { environ, headLimit } = JSON.parse((globalThis.Deno?.args ?? process.argv.slice(2))[0]);
globalThis.Netlify = { env: { get: (name) => environ[name] } };
const { createGateway, default: deployed } = await import("../../../netlify/edge-functions/gateway.mjs");
const created = headLimit ? createGateway({ headLimit }) : deployed;
// Netlify tells the visitor's address in the context; tests say which one it is.
const gateway = (request) => created(request, { ip: request.headers.get("x-test-address") ?? undefined });

if (globalThis.Deno) {
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) }, (request) => gateway(request));
} else {
  const { createServer } = await import("node:http");
  const { Readable } = await import("node:stream");
  const server = createServer(async (incoming, outgoing) => {
    const left = new AbortController();
    const bare = ["GET", "HEAD"].includes(incoming.method);
    const pairs = [];
    for (let at = 0; at < incoming.rawHeaders.length; at += 2) pairs.push(incoming.rawHeaders.slice(at, at + 2));
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method,
      headers: pairs.filter(([name]) => !/^(connection|transfer-encoding|keep-alive)$/i.test(name)),
      body: bare ? null : Readable.toWeb(incoming),
      duplex: "half",
      signal: left.signal,
    });
    outgoing.on("close", () => left.abort());
    const response = await gateway(request);
    outgoing.writeHead(response.status, [...response.headers].flat());
    outgoing.flushHeaders();
    const chunks = response.body?.getReader();
    outgoing.on("close", () => chunks?.cancel().catch(() => {}));
    try {
      for (let chunk; chunks && !(chunk = await chunks.read()).done; ) outgoing.write(chunk.value);
      outgoing.end();
    } catch {
      outgoing.destroy(); // the upstream broke off: so does this
    }
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
}
