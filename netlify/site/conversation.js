/**
 * One conversation, kept by the browser and shared by its tabs.
 *
 * What is asked and answered is kept in `localStorage`, so that a reload finds it. Of all tabs one
 * reads a run (it holds the lock of that name) and tells the others; when it goes, the next one
 * reads on from where the run was last heard. It knows neither the network nor the page.
 */

const KEPT = "riverrun-conversation";
const WORDS_TRAVEL = 500; // ms
const TURNS = 50; // the last of them; storage is small, and so is patience

/** @param {{onTurn: Function, onFresh: Function, onStop: Function}} hears what other tabs did */
export function openConversation({ onTurn, onFresh, onStop }) {
  const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("riverrun") : null;
  let kept = load();

  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.fresh) {
        kept = empty();
        onFresh();
      } else if (data.stop) onStop(data.stop);
      else {
        remember(data.turn, data);
        onTurn(data.turn, data.replaces);
      }
    };
  }

  function remember(turn, { sessionId, replaces }) {
    kept.sessionId = sessionId;
    kept.turns = kept.turns.filter(({ id }) => id !== replaces);
    const at = kept.turns.findIndex(({ id }) => id === turn.id);
    if (at === -1) kept.turns = [...kept.turns, turn].slice(-TURNS);
    else kept.turns[at] = turn;
  }

  function save() {
    try {
      localStorage.setItem(KEPT, JSON.stringify(kept));
    } catch {
      // Storage may be full or forbidden; the conversation goes on without it.
    }
  }

  return {
    turns: () => kept.turns,
    get sessionId() {
      return kept.sessionId;
    },

    /** Keep a turn as it stands, in the place of `replaces`, and tell the other tabs. */
    tell(turn, { sessionId = kept.sessionId, replaces = "" } = {}) {
      remember(turn, { sessionId, replaces });
      save();
      channel?.postMessage({ turn, sessionId, replaces });
    },

    /** Ask the tab that reads the run to stop it. */
    askToStop: (id) => channel?.postMessage({ stop: id }),

    /** Forget everything, in every tab. */
    startAfresh() {
      kept = empty();
      save();
      channel?.postMessage({ fresh: true });
    },

    /**
     * Do `read` when no other tab does it for that turn. Without locks (a page that is not on a
     * secure origin) each tab reads for itself.
     */
    async alone(id, read) {
      if (!navigator.locks) return read();
      return navigator.locks.request(`riverrun-${id}`, async () => {
        await read();
        // A lock travels faster than words: a tab that got it at once would not know yet that all is read.
        await new Promise((done) => setTimeout(done, WORDS_TRAVEL));
      });
    },
  };
}

const empty = () => ({ sessionId: "", turns: [] });

function load() {
  try {
    const { sessionId, turns } = JSON.parse(localStorage.getItem(KEPT));
    const whole = turns.every(({ id, question, steps, sources, timeline }) =>
      [id, question].every((text) => typeof text === "string") && [steps, sources, timeline].every(Array.isArray));
    return whole && typeof sessionId === "string" ? { sessionId, turns } : empty();
  } catch {
    return empty();
  }
}
