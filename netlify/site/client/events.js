/**
 * What a run says, as types: docs/contract.md has the rules. There is no code here.
 *
 * @typedef {"pending" | "executing" | "completed" | "failed"} StepState
 *
 * @typedef {{
 *   step: number, description: string, status: StepState, timestamp: number, name?: string,
 *   totalSteps?: number, progress?: number, elapsedMs?: number, etaMs?: number,
 *   data?: Record<string, unknown>,
 * }} ChatStatus
 *
 * @typedef {{id: string, title: string, uri: string, score?: number, snippet?: string}} Source
 *
 * @typedef {{inputTokens: number, outputTokens: number, costUsd?: number | null}} Usage
 *
 * Whether the citations of an answer hold: the share that does, how many there are, and those
 * that do not.
 *
 * @typedef {{
 *   score: number, citations: number,
 *   unmatched: {citation: number, mark: number, reason: "missing" | "number" | "unsupported"}[],
 * }} Grounding
 *
 * @typedef {{
 *   answer: string, success: boolean, finishReason: string, steps: ChatStatus[],
 *   toolsUsed: string[], executionTimeMs: number, sessionId: string | null, sources: Source[],
 *   usage: Usage | null, model: string, runId: string, metadata: Record<string, string>,
 *   truncated?: boolean, grounding?: Grounding, followUps?: string[],
 * }} ChatResponse
 *
 * @typedef {{type: "status", status: ChatStatus}
 *   | {type: "token", text: string}
 *   | {type: "sources", sources: Source[]}
 *   | {type: "usage", usage: Usage}
 *   | {type: "notice", code: string, message: string}
 *   | {type: "reset", reason: string}
 *   | {type: "final", result: ChatResponse}} RunEvent
 *
 * @typedef {{answer: string, sources: Source[], steps: ChatStatus[]}} PartialAnswer
 *
 * @typedef {{reason: string, attempt: number, waitMs: number, paused: boolean}} RetryNotice
 */
export {};
