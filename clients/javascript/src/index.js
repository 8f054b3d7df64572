/** `@riverrun/client`: ask a Riverrun server, and read the answer while it is written. */
export { RiverrunError } from "./errors.js";
export { PATIENCE } from "./retry_policy.js";
export { join, stream } from "./stream.js";
