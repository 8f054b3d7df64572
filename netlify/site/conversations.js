/**
 * The conversations that this browser keeps, one of them open in each tab.
 *
 * Each has an entry of its own in `localStorage`, so a reload finds it, and two tabs with two
 * conversations never write over each other's. Of all tabs that show one conversation, one reads a
 * run (it holds the lock of that name) and tells the others; when it goes, the next one reads on
 * from the last event that was shown. Knows neither the network nor the page.
 */
import { runOf } from "./turn.js";

const LIST = "riverrun-conversations";
const ENTRY = "riverrun-conversation-";
const OPEN = "riverrun-open"; // in `sessionStorage`: what this tab shows, over a reload
const LAST_MESSAGES_MS = 500; // how long messages to the other tabs may take
const TURNS = 100; // the last of them are kept; `dropped` counts the others
const TITLE = 80;

/**
 * @param {{onTurn: Function, onList: Function, onStop: Function, onFull: Function}} listeners what
 *   other tabs did: a turn of the open conversation changed, the list changed, a run is to be
 *   stopped; and `onFull`: conversations were deleted for want of room
 */
export function openConversations({ onTurn, onList, onStop, onFull }) {
  const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("riverrun") : null;
  let open = load(read(sessionStorage, OPEN) ?? list()[0]?.id ?? "") ?? create();

  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.stop) onStop(data.stop);
      else if (data.turn) {
        if (data.conversation !== open.id) return;
        remember(data.turn, data);
        onTurn(data.turn, data.replaces);
      } else onList();
    };
  }

  function remember(turn, { sessionId, replaces }) {
    open.sessionId = sessionId;
    open.turns = open.turns.filter(({ id }) => id !== replaces);
    const at = open.turns.findIndex(({ id }) => id === turn.id);
    if (at >= 0) open.turns[at] = turn;
    else open.turns.push(turn);
    const surplus = open.turns.splice(0, Math.max(0, open.turns.length - TURNS));
    open.dropped += surplus.length;
  }

  function save() {
    const { id, ...entry } = open;
    put(ENTRY + id, JSON.stringify(entry));
    const known = list().find((one) => one.id === id);
    const title = known?.title ?? open.turns[0]?.question.slice(0, TITLE) ?? "";
    putList([{ id, title, changedAt: Date.now() }, ...list().filter((one) => one.id !== id)]);
    write(sessionStorage, OPEN, id);
  }

  /** Write, and make room by deleting the conversations that were used least recently. */
  function put(key, value) {
    while (!write(localStorage, key, value)) {
      const oldest = list().filter(({ id }) => id !== open.id).at(-1);
      if (!oldest) return; // full or forbidden: the conversation lasts as long as the page
      remove(localStorage, ENTRY + oldest.id);
      write(localStorage, LIST, JSON.stringify(list().filter(({ id }) => id !== oldest.id)));
      onFull();
    }
  }

  const putList = (conversations) => {
    put(LIST, JSON.stringify(conversations));
    channel?.postMessage({ list: true });
  };

  function show(conversation) {
    open = conversation;
    write(sessionStorage, OPEN, open.id);
    return open;
  }

  return {
    /** `{id, title, changedAt}` of each, the last changed first. */
    list,
    /** Those of the list in whose title, questions or answers `text` stands. */
    find(text) {
      const wanted = text.trim().toLowerCase();
      const texts = ({ id, title }) => [title, ...(load(id)?.turns ?? []).flatMap(({ question, answer }) => [question, answer])];
      return list().filter((one) => wanted === "" || texts(one).join("\n").toLowerCase().includes(wanted));
    },

    /** The conversation of this tab: `{id, sessionId, dropped, turns}`. */
    get open() {
      return open;
    },

    /** Begin one, in this tab; the one that was open stays in the list. */
    begin: () => show(create()),

    /** Show one of the list in this tab. */
    choose: (id) => show(load(id) ?? create()),

    rename(id, title) {
      putList(list().map((one) => (one.id === id ? { ...one, title: title.slice(0, TITLE) } : one)));
    },

    /** Where the server has what one said: its session, or its runs before it had a session. */
    placesOf(id) {
      const { sessionId = "", turns = [] } = load(id) ?? {};
      if (sessionId !== "") return [`/sessions/${encodeURIComponent(sessionId)}`];
      const all = turns.flatMap((turn) => [...(Array.isArray(turn.versions) ? turn.versions : []), turn]);
      const runs = all.map(({ cursor = "" }) => runOf({ cursor: String(cursor) }));
      return runs.filter(Boolean).map((run) => `/runs/${encodeURIComponent(run)}`);
    },

    /** Delete one. Returns a function that brings it back. */
    remove(id) {
      const before = list();
      const entry = read(localStorage, ENTRY + id);
      remove(localStorage, ENTRY + id);
      putList(before.filter((one) => one.id !== id));
      return () => {
        if (entry !== null) put(ENTRY + id, entry);
        const known = before.find((one) => one.id === id);
        putList([...list(), known].sort((a, b) => b.changedAt - a.changedAt));
      };
    },

    /** Keep a turn as it stands, in the place of `replaces`, and tell the other tabs. */
    tell(turn, { sessionId = open.sessionId, replaces = "" } = {}) {
      remember(turn, { sessionId, replaces });
      save();
      channel?.postMessage({ conversation: open.id, turn, sessionId, replaces });
    },

    /** Ask the tab that reads the run of a turn to stop it. */
    askToStop: (id) => channel?.postMessage({ stop: id }),

    /**
     * Call `readRun` while no other tab does it for that turn. Without locks (a page that is not on
     * a secure origin) each tab reads for itself.
     */
    async alone(id, readRun) {
      if (!navigator.locks) return readRun();
      return navigator.locks.request(`riverrun-${id}`, async () => {
        await readRun();
        // A lock travels faster than messages: its next owner would read on what was over.
        await new Promise((done) => setTimeout(done, LAST_MESSAGES_MS));
      });
    },
  };
}

function create() {
  const id = crypto.getRandomValues(new Uint32Array(2)).join("");
  return { id, sessionId: "", dropped: 0, turns: [] };
}

function list() {
  const known = parse(read(localStorage, LIST));
  const isWhole = (one) => typeof one?.id === "string" && typeof one.title === "string" && Number.isFinite(one.changedAt);
  return Array.isArray(known) ? known.filter(isWhole) : [];
}

/** The conversation `id`, or null where nothing whole is kept under it. */
function load(id) {
  const { sessionId, turns, dropped = 0 } = Object(parse(read(localStorage, ENTRY + id)));
  const texts = (turn) => [turn?.id, turn?.question, turn?.phase].every((text) => typeof text === "string");
  const lists = (turn) => [turn.steps, turn.sources, turn.timeline].every(Array.isArray);
  if (typeof sessionId !== "string" || !Array.isArray(turns)) return null;
  if (!turns.every((turn) => texts(turn) && lists(turn)) || !Number.isInteger(dropped)) return null;
  return { id, sessionId, dropped, turns };
}

// Storage may be full or forbidden, and what it holds may be another program's.
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function read(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    storage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}

function remove(storage, key) {
  try {
    storage.removeItem(key);
  } catch {
    // Nothing was kept then.
  }
}
