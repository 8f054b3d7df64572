/**
 * Everything that can go wrong, typed: a stable code, what happened, and what to do about it.
 */

/** @typedef {import("./events.js").PartialAnswer} PartialAnswer */

/** @type {() => PartialAnswer} */
export const emptyPartial = () => ({ answer: "", sources: [], steps: [] });

/**
 * There is no answer, and waiting longer would not bring one.
 *
 * `code` is stable: one of the contract's (docs/errors.md), or one of this client's: `unreachable`
 * (no server ever answered), `interrupted` (it answered, but the stream could not be mended),
 * `not_a_stream`, `redirected`, `too_large`, `ended` (nothing is left to read), `cancelled` (the
 * server has stopped the run, or the question was never sent), `not_stopped` (the server could not
 * be told to stop: the answer may go on), and `http_404` or the like where a server does not name
 * its reason.
 *
 * `retryable` means that asking again may help, `retryAfterMs` how long to wait before, `hint`
 * what to do. `partial` is what was said before it failed, `cursor` where to read on.
 */
export class RiverrunError extends Error {
  name = "RiverrunError";
  code = "internal";
  retryable = false;
  hint = "";
  runId = "";
  cursor = "";
  partial = emptyPartial();
  /** @type {number | null} */
  retryAfterMs = null;
  /** @type {number | null} the HTTP status, where it was one */
  status = null;
  /** @type {number | null} the step that failed */
  step = null;

  /**
   * @param {string} message
   * @param {{[name in keyof RiverrunError]?: RiverrunError[name]}} [known]
   */
  constructor(message, known) {
    super(message);
    Object.assign(this, known);
  }
}

/** The connection is gone, the run is not: wait, then read on. Thrown when no try is left. */
export class LostError extends RiverrunError {
  /**
   * @param {string} message
   * @param {{[name in keyof RiverrunError]?: RiverrunError[name]} & {paused?: boolean}} [known] `paused`:
   *   the server itself asked to come back
   */
  constructor(message, known) {
    super(message, { code: "interrupted", retryable: true, ...known });
  }
}

const FIELDS = ["code", "hint", "runId", "cursor", "retryable", "retryAfterMs", "step"];

/**
 * Read the error object of the contract, in a stream or in a JSON body. No field is trusted to be
 * what it should.
 *
 * @param {any} body
 * @param {string} otherwise the message where it has none
 * @param {string} [code] the code where it has none
 */
export function readError(body, otherwise, code = "internal") {
  /** @type {any} */
  const error = new RiverrunError(String(body?.error || otherwise), { code });
  for (const name of FIELDS) {
    // Of the type that it has already; what is null until it is known is a number.
    if (typeof body?.[name] === typeof (error[name] ?? 0)) error[name] = body[name];
  }
  const { answer, sources, steps } = body?.partial ?? {};
  error.partial = { answer: String(answer || ""), sources: list(sources), steps: list(steps) };
  error.hint ||= list(body?.details).map((detail) => detail?.message).join(" ");
  return /** @type {RiverrunError} */ (error);
}

/** @type {(value: unknown) => any[]} */
const list = (value) => (Array.isArray(value) ? value : []);

/**
 * Call a listener. What it throws is reported where uncaught errors are, and is not the stream's.
 *
 * @type {(listener: ((...values: any[]) => unknown) | undefined, ...values: any[]) => void}
 */
export function notify(listener, ...values) {
  try {
    listener?.(...values);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}
