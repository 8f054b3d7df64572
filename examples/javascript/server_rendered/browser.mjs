import { createElement as h } from "react";
import { hydrateRoot } from "react-dom/client";

import { App } from "./app.mjs";

hydrateRoot(document.querySelector("#root"), h(App, { id: "visitor" }));
