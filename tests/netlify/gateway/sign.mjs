// Signs the requests on stdin, a JSON list, and prints what was signed and the headers, one list.
import { signature, spelled } from "../../../netlify/gateway/sigv4.mjs";

let text = "";
for await (const piece of process.stdin.setEncoding("utf8")) text += piece;
const signed = [];
for (const { method, address, body, time, ...credentials } of JSON.parse(text)) {
  const url = new URL(address);
  url.search = spelled(url.search.slice(1));
  const request = { method, url, body: Uint8Array.from(body) };
  signed.push({ url: url.href, ...(await signature(request, credentials, new Date(time))) });
}
process.stdout.write(JSON.stringify(signed));
