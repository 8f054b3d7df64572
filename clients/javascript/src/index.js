/** `@riverrun/client`: ask a Riverrun server, and read the answer while it is written. */
export { RiverrunError } from "./errors.js";
export { PATIENCE } from "./patience.js";
export { join, stream } from "./stream.js";
