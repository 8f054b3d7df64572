/**
 * How far an answer is and how long it still takes, learned from the earlier ones of this browser.
 * Numbers in, numbers out; `storage` keeps what was learned.
 */
const KEPT = "riverrun-durations";
const SAMPLES = 20; // the last answers that are learned from
const ENOUGH = 3; // fewer tell nothing
const USUAL_LENGTH = 900; // characters of an answer, until some were seen

/** @param {{getItem: Function, setItem: Function}} storage as `localStorage` */
export function createEstimator(storage) {
  let samples = load(storage);

  return {
    /** `{progress, leftMs}` of a turn at `now`; `leftMs` is null where it cannot be told. */
    estimate(turn, now) {
      if (turn.endedAt !== null || turn.link === "cut") return { progress: turn.progress, leftMs: null };
      const elapsed = now - turn.askedAt;
      const total = turn.eta ? turn.eta.at - turn.askedAt + turn.eta.ms : samples.length >= ENOUGH ? median(samples.map(({ ms }) => ms)) : null;
      if (total === null) return { progress: byLength(turn, samples), leftMs: null };
      // Towards the end it slows down and never stands still: an answer may take longer than any.
      const part = elapsed / Math.max(1, total);
      const progress = part < 0.8 ? part : 1 - 0.2 * Math.exp(-(part - 0.8) / 0.4);
      return { progress: Math.min(0.99, progress), leftMs: Math.max(0, total - elapsed) };
    },

    /** Take an answer that is finished into account. */
    learn(turn) {
      if (turn.phase !== "done") return;
      const ms = turn.endedAt - turn.askedAt;
      const half = turn.estimates.find(({ at }) => at >= ms / 2);
      const error = half ? Math.abs(half.left - (ms - half.at)) / Math.max(1, ms) : null;
      samples = [...samples, { ms, length: turn.answer.length, error }].slice(-SAMPLES);
      try {
        storage.setItem(KEPT, JSON.stringify(samples));
      } catch {
        // Storage may be full or forbidden; it is learned for this page alone then.
      }
    },

    /** Median error of the time left, told half-way, as a part of the whole time; null: unknown. */
    error() {
      const errors = samples.map(({ error }) => error).filter((error) => error !== null);
      return errors.length === 0 ? null : median(errors);
    },
  };
}

/** Without a time, the steps that are done and the words that are there tell. */
function byLength({ progress, answer, phase }, samples) {
  if (phase !== "answering") return progress;
  const usual = samples.length > 0 ? median(samples.map(({ length }) => length)) : USUAL_LENGTH;
  return progress + (0.99 - progress) * (1 - Math.exp(-answer.length / Math.max(100, usual)));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function load(storage) {
  try {
    const known = JSON.parse(storage.getItem(KEPT));
    const isWhole = ({ ms, length, error }) => [ms, length, error ?? 0].every(Number.isFinite);
    return known.filter(isWhole).slice(-SAMPLES);
  } catch {
    return [];
  }
}
