// A Runtime API by Node's own HTTP server: what does its parser see of what a runtime sends?
//
// Standard input: one payload a line, delivered to /next in turn. Standard output: its port, then
// one JSON document a line for every head, piece of body and end of a POST, as they are parsed.

import http from "node:http";
import readline from "node:readline";

const payloads = [];
const polls = [];
let delivered = 0;

const say = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);

function match() {
  while (payloads.length && polls.length) {
    delivered += 1;
    polls.shift().writeHead(200, {
      "Content-Type": "application/json",
      "Lambda-Runtime-Aws-Request-Id": `request-${delivered}`,
      "Lambda-Runtime-Deadline-Ms": String(Date.now() + 20_000),
      "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:1:function:f",
      "Lambda-Runtime-Invocation-Id": `attempt-${delivered}`,
    }).end(payloads.shift());
  }
}

const server = http.createServer((request, response) => {
  const { method, url, httpVersion, headers, rawHeaders } = request;
  if (method === "GET" && url === "/2018-06-01/runtime/invocation/next") {
    polls.push(response);
    match();
    return;
  }
  say({ head: { method, url, httpVersion, headers, rawHeaders } });
  request.on("data", (piece) => say({ data: piece.toString("latin1") }));
  request.on("error", (error) => say({ error: error.code }));
  request.on("end", () => {
    say({ end: { trailers: request.trailers, complete: request.complete } });
    response.writeHead(202, { "Content-Type": "application/json" }).end('{"status":"OK"}\n');
  });
});
server.on("clientError", (error, socket) => {
  say({ error: error.code });
  socket.destroy();
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  payloads.push(line);
  match();
}).on("close", () => process.exit(0));
