// Copy into the page what the page serves: this client, and two libraries of the lock file with
// their licences and digests. The page is not built; a test compares every byte.
//
//     npm run page
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const site = new URL("../../netlify/site/", here);

const CLIENT = ["index", "stream", "errors", "fetch_transport", "retry_policy", "cursor", "environment", "waiting", "types", "sse", "events", "analytics"];
const VENDOR = [
  { name: "marked", from: "lib/marked.esm.js", licence: "LICENSE" },
  { name: "dompurify", from: "dist/purify.min.js", licence: "LICENSE" },
  { name: "lean-qr", from: "index.mjs", licence: "LICENSE" },
];

for (const folder of ["client/", "vendor/"]) {
  rmSync(new URL(folder, site), { recursive: true, force: true });
  mkdirSync(new URL(folder, site));
}
for (const name of CLIENT) copyFileSync(new URL(`src/${name}.js`, here), new URL(`client/${name}.js`, site));

const listed = {};
for (const { name, from, licence } of VENDOR) {
  const home = new URL(`node_modules/${name}/`, here);
  const { version, license } = JSON.parse(readFileSync(new URL("package.json", home), "utf8"));
  const bytes = readFileSync(new URL(from, home));
  writeFileSync(new URL(`vendor/${name}.js`, site), bytes);
  copyFileSync(new URL(licence, home), new URL(`vendor/${name}.LICENSE.txt`, site));
  listed[`${name}.js`] = { package: name, version, license, file: from, sha256: createHash("sha256").update(bytes).digest("hex") };
}
writeFileSync(new URL("vendor/vendored.json", site), `${JSON.stringify(listed, null, 2)}\n`);
