/** `@riverrun/client`: ask a Riverrun server, and read the answer while it is written. */
export { RiverrunError } from "./errors.js";
export { RETRY_POLICY } from "./retry_policy.js";
export { join, stream } from "./stream.js";

/**
 * @typedef {import("./options.js").Stream} Stream
 * @typedef {import("./options.js").StreamOptions} StreamOptions
 * @typedef {import("./options.js").JoinOptions} JoinOptions
 * @typedef {import("./options.js").Callbacks} Callbacks
 * @typedef {import("./options.js").ConnectionOptions} ConnectionOptions
 * @typedef {import("./options.js").Question} Question
 * @typedef {import("./events.js").RunEvent} RunEvent
 * @typedef {import("./events.js").ChatResponse} ChatResponse
 * @typedef {import("./events.js").ChatStatus} ChatStatus
 * @typedef {import("./events.js").StepState} StepState
 * @typedef {import("./events.js").Source} Source
 * @typedef {import("./events.js").Usage} Usage
 * @typedef {import("./events.js").Grounding} Grounding
 * @typedef {import("./events.js").PartialAnswer} PartialAnswer
 * @typedef {import("./events.js").RetryNotice} RetryNotice
 * @typedef {import("./retry_policy.js").RetryPolicy} RetryPolicy
 * @typedef {import("./environment.js").Environment} Environment
 * @typedef {import("./fetch_transport.js").Transport} Transport
 * @typedef {import("./fetch_transport.js").Tools} Tools
 * @typedef {import("./fetch_transport.js").Request} Request
 * @typedef {import("./fetch_transport.js").WireItem} WireItem
 */
