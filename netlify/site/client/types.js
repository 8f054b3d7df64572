/**
 * The types of what a caller says and gets. There is no code here: `export *` of this module gives
 * a compiler the names, and costs nothing.
 */

/**
 * @typedef {Record<string, string>} RequestHeaders
 *
 * @typedef {{
 *   onStatus?: ((status: import("./events.js").ChatStatus) => void) | undefined,
 *   onToken?: ((text: string) => void) | undefined,
 *   onSources?: ((sources: import("./events.js").Source[]) => void) | undefined,
 *   onReset?: ((reason: string) => void) | undefined,
 *   onComplete?: ((result: import("./events.js").ChatResponse) => void) | undefined,
 *   onError?: ((error: import("./errors.js").RiverrunError) => void) | undefined,
 *   onEvent?: ((event: import("./events.js").RunEvent) => void) | undefined,
 *   onOpen?: ((runId: string) => void) | undefined,
 *   onRetry?: ((retrying: import("./events.js").RetryNotice) => void) | undefined,
 * }} Callbacks
 *
 * @typedef {{
 *   endpoint?: string | undefined,
 *   headers?: RequestHeaders | ((why: {unauthorized: boolean}) => RequestHeaders | null | undefined | Promise<RequestHeaders | null | undefined>) | undefined,
 *   signal?: AbortSignal | undefined,
 *   transport?: Transport | undefined,
 *   retryPolicy?: Partial<RetryPolicy> | undefined,
 *   environment?: Partial<Environment> | undefined,
 * }} ConnectionOptions
 *
 * @typedef {{
 *   sessionId?: string | undefined, topK?: number | undefined, include?: string[] | undefined, metadata?: Record<string, string> | undefined,
 *   idempotencyKey?: string | undefined,
 * }} Question
 *
 * @typedef {Callbacks & ConnectionOptions & Question} StreamOptions
 * @typedef {Callbacks & ConnectionOptions & {after?: number | undefined}} JoinOptions
 *
 * @typedef {AsyncIterable<import("./events.js").RunEvent> & {
 *   readonly runId: string,
 *   readonly cursor: string,
 *   readonly idempotencyKey: string,
 *   readonly result: Promise<import("./events.js").ChatResponse>,
 *   stop: () => Promise<boolean>,
 * }} Stream
 */

/**
 * Times in milliseconds. `maxRetries`: failed tries in a row before a run is given up; a try that
 * brought an event is no failure. `maxUnanswered`: the same while no server has ever answered. The
 * wait is a random part of `firstWait` (or of the stream's own `retry`, from 100 up to
 * `longestWait`), doubled with each failed try up to `longestWait`. `silence`: three heartbeats of
 * the contract and a little more, then the connection is dead. `longestRetryAfter`: the longest
 * `Retry-After` that is waited for. `grace`: how long a stopped run may take to say its last words.
 *
 * @typedef {{
 *   maxRetries: number, maxUnanswered: number, firstWait: number, longestWait: number,
 *   silence: number, longestRetryAfter: number, grace: number,
 * }} RetryPolicy
 */

/**
 * The machine around a client. `now` is in milliseconds and goes on while the machine sleeps.
 * `timer` returns what cancels it. `onWake` calls back with `true` when there is a network again,
 * with `false` when the page is looked at again; it returns what ends that.
 *
 * @typedef {{
 *   fetch: typeof globalThis.fetch,
 *   random: () => number,
 *   now: () => number,
 *   timer: (run: () => void, ms: number) => () => void,
 *   isOnline: () => boolean,
 *   onWake: (wake: (online: boolean) => void) => () => void,
 * }} Environment
 */

/**
 * What a connection brings: the run's id from the head, a reconnection time, or a frame.
 *
 * @typedef {{runId?: string, retry?: number | null, data?: string, id?: string | null}} WireItem
 *
 * @typedef {{url: string, method?: string, headers: Record<string, string>, body?: string, keepalive?: boolean}} Request
 *
 * @typedef {{
 *   fetch: typeof globalThis.fetch, signal: AbortSignal, now: () => number,
 *   headers: (renew: boolean) => Promise<Record<string, string> | null | undefined>,
 * }} Tools `headers` to send; with `renew`, the new ones after a 401, `null` where there are none
 *
 * @typedef {(request: Request, tools: Tools) => AsyncGenerator<WireItem, void>} Transport
 */

/**
 * An answer while it is written. `isStopping`: the server is being told to stop.
 *
 * @typedef {{
 *   query: string, runId: string, cursor: string, status: import("./events.js").ChatStatus | null,
 *   steps: import("./events.js").ChatStatus[], answer: string, sources: import("./events.js").Source[],
 *   result: import("./events.js").ChatResponse | null, error: import("./errors.js").RiverrunError | null,
 *   retrying: import("./events.js").RetryNotice | null, isStreaming: boolean, isStopping: boolean,
 * }} Answer
 *
 * @typedef {Answer & {
 *   start: (query: string, more?: StreamOptions) => void,
 *   stop: () => Promise<boolean>,
 *   resume: (runId?: string, more?: StreamOptions) => void,
 * }} Riverrun
 *
 * @typedef {StreamOptions & {id?: string | undefined}} RiverrunOptions
 */
export {};
