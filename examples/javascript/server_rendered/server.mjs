// Print the page of one visitor, as a server would send it.
import { createElement as h } from "react";
import { renderToString } from "react-dom/server";

import { App } from "./app.mjs";

console.log(`<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <link rel="icon" href="data:," />
  <title>Ask</title>
  <div id="root">${renderToString(h(App, { id: "visitor" }))}</div>
  <script type="module" src="/browser.mjs"></script>
</html>`);
