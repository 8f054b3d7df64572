// What the lock file of clients/javascript installs, for tests that live outside of it.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../../../clients/javascript/package.json", import.meta.url));

/** The module `name`, as an ES module where it has that form. */
export const load = (name) => import(pathToFileURL(require.resolve(name)));
