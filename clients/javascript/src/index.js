/** `@riverrun/client`: ask a Riverrun server, and read the answer while it is written. */
export { RiverrunError } from "./errors.js";
export { RETRY_POLICY } from "./retry_policy.js";
export { join, stream } from "./stream.js";

// Types only.
export * from "./events.js";
export * from "./types.js";
