/**
 * What a caller may say and what it gets, as types. There is no code here.
 */

/**
 * @typedef {import("./events.js").RunEvent} RunEvent
 * @typedef {import("./events.js").ChatResponse} ChatResponse
 * @typedef {Record<string, string>} Headers
 *
 * @typedef {{
 *   onStatus?: (status: import("./events.js").ChatStatus) => void,
 *   onToken?: (text: string) => void,
 *   onSources?: (sources: import("./events.js").Source[]) => void,
 *   onReset?: (reason: string) => void,
 *   onComplete?: (result: ChatResponse) => void,
 *   onError?: (error: import("./errors.js").RiverrunError) => void,
 *   onEvent?: (event: RunEvent) => void,
 *   onOpen?: (runId: string) => void,
 *   onRetry?: (retrying: import("./events.js").RetryNotice) => void,
 * }} Callbacks
 *
 * @typedef {{
 *   endpoint?: string,
 *   headers?: Headers | ((why: {unauthorized: boolean}) => Headers | null | undefined | Promise<Headers | null | undefined>),
 *   signal?: AbortSignal,
 *   transport?: import("./fetch_transport.js").Transport,
 *   retryPolicy?: Partial<import("./retry_policy.js").RetryPolicy>,
 *   environment?: Partial<import("./environment.js").Environment>,
 * }} ConnectionOptions
 *
 * @typedef {{
 *   sessionId?: string, topK?: number, include?: string[], metadata?: Record<string, string>,
 *   idempotencyKey?: string,
 * }} Question
 *
 * @typedef {Callbacks & ConnectionOptions & Question} StreamOptions
 * @typedef {Callbacks & ConnectionOptions & {after?: number}} JoinOptions
 *
 * @typedef {AsyncIterable<RunEvent> & {
 *   readonly runId: string,
 *   readonly cursor: string,
 *   readonly idempotencyKey: string,
 *   readonly result: Promise<ChatResponse>,
 *   stop: () => Promise<boolean>,
 * }} Stream
 */
export {};
