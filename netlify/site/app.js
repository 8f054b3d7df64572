/**
 * Brings the page to life: a question goes out, its events come in, the view follows. The rules of
 * the wire are in client/, the meaning of events in turn.js, reading in reader.js, the elements in
 * view.js, and what is kept and shared with other tabs in conversations.js.
 */
import { announce } from "./announce.js";
import { createAnalytics } from "./client/analytics.js";
import { createComposer } from "./composer.js";
import { openConversations } from "./conversations.js";
import { createDrawer } from "./drawer.js";
import { setText } from "./elements.js";
import { sendFeedback } from "./feedback.js";
import { createFollower } from "./follow.js";
import { openForgetting } from "./forget.js";
import { askForKey, openKeys } from "./keys.js";
import { drawMeasures } from "./measures.js";
import { hasPlug, pullPlug } from "./plug.js";
import { createEstimator } from "./progress.js";
import { readQuestion, readTurn } from "./reader.js";
import { brand, say } from "./say.js";
import { drawSamples } from "./samples.js";
import { openShare, sharedGoesOn, sharedRun } from "./share.js";
import { bindShortcuts } from "./shortcuts.js";
import { createThemeButton } from "./theme.js";
import { ENDED, applyEvent, beginTurn, canReadOn, keepVersions, reviveTurn, runOf } from "./turn.js";
import { createTurnView } from "./view.js";

const byId = (id) => document.getElementById(id);
const [stopButton, plugButton, turns, welcome, announcer] = ["stop", "plug", "turns", "welcome", "announcer"].map(byId);

const TELL_EVERY = 150; // milliseconds between two messages to the other tabs
const now = () => performance.timeOrigin + performance.now();
const analytics = createAnalytics();
const estimator = createEstimator({ getItem: (name) => localStorage.getItem(name), setItem: (name, value) => localStorage.setItem(name, value) });
const keys = openKeys();
const forget = openForgetting(keys);
const shown = new Map(); // by id: {turn, view, run, change, ...}, in order

const conversations = openConversations({
  onTurn(turn, replaces) {
    const entry = shown.get(turn.id);
    if (entry?.run) return; // this tab reads it, and knows better
    if (entry) entry.change(turn);
    else adopt(turn, shown.get(replaces));
  },
  onList: () => renderList(),
  onStop(id) {
    const entry = shown.get(id);
    if (entry?.run) stopRun(entry);
  },
  onFull: () => setText(announcer, say("full")),
});
const composer = createComposer(byId("composer"), { ask, isBusy: () => working() !== undefined });
const follower = createFollower(byId("to-end"), turns, byId("composer"));
const renderList = createDrawer(byId("conversations"), conversations, {
  choose: (id) => showConversation(() => conversations.choose(id)),
  rename: (id, title) => conversations.rename(id, title),
  remove(id) {
    const remember = forget(conversations.placesOf(id));
    const restore = conversations.remove(id);
    const wasOpen = conversations.open.id === id;
    if (wasOpen) showConversation(() => conversations.begin());
    return () => {
      remember();
      restore();
      if (wasOpen) showConversation(() => conversations.choose(id));
    };
  },
});

function ask(text, replaced) {
  const query = text.trim();
  if (query === "" || working()) return;
  const notices = keepShared();
  const versions = replaced ? keepVersions(replaced.turn) : [];
  const turn = { ...beginTurn(query, now(), newId()), asks: conversations.open.sessionId, notices, versions };
  conversations.tell(turn, { replaces: replaced?.turn.id });
  const entry = adopt(turn, replaced);
  follower.reset();
  // The new question goes to the top once; from then on only the reader scrolls.
  entry.view.node.scrollIntoView({ block: "start" });
}

/**
 * A shared answer that its reader asks on from becomes a part of a conversation of this browser.
 * Returns what the next turn has to say about it.
 */
function keepShared() {
  const entry = [...shown.values()].find(({ isShared }) => isShared);
  if (!entry) return [];
  const goesOn = sharedGoesOn();
  leaveShared();
  if (entry.turn.phase === "failed") return [];
  entry.isShared = false;
  const { question, sessionId } = entry.turn;
  entry.change({ ...entry.turn, question: question || say("sharedTitle"), sessionId: goesOn ? sessionId : null });
  conversations.tell(entry.turn, { sessionId: entry.turn.sessionId ?? "" });
  return goesOn ? [] : [say("apart")];
}

function leaveShared() {
  if (sharedRun() !== "") history.replaceState(null, "", location.pathname + location.search);
}

/** The turn that is not over, if there is one. */
const working = () => [...shown.values()].find(({ turn }) => !ENDED.has(turn.phase));

/** Show a turn, in whichever tab it was asked, and read it when no tab does. */
function adopt(turn, replaced) {
  const view = createTurnView(byId("turn"), callbacksOf(() => entry), estimate);
  let drawing = 0;
  let clock = 0;
  let telling = 0;
  const draw = () => {
    drawing = 0;
    view.render(entry.turn, now());
    follower.update();
  };
  const tell = () => {
    clearTimeout(telling);
    telling = 0;
    if (!entry.isGone && !entry.isShared) conversations.tell(entry.turn, { sessionId: entry.turn.sessionId ?? undefined });
  };
  const entry = {
    turn,
    view,
    run: null,
    isGone: false,
    isShared: turn.question === "",
    reading: new AbortController(),
    change(next, isOurs = false) {
      const isEnd = ENDED.has(next.phase) && !ENDED.has(entry.turn.phase);
      announce(announcer, entry.turn, next);
      entry.turn = next;
      // Many tokens, one drawing. A hidden page gets no frames, and needs none.
      drawing ||= requestAnimationFrame(draw);
      if (isOurs) telling ||= setTimeout(tell, TELL_EVERY);
      if (ENDED.has(next.phase)) {
        clearInterval(clock);
        clock = 0;
        cancelAnimationFrame(drawing);
        if (isEnd && isOurs) estimator.learn(next);
        draw();
        if (isOurs) tell();
      } else clock ||= setInterval(draw, 100);
      if (!entry.isGone) showWork();
      if (isEnd && isOurs && !entry.isGone) afterEnd(entry);
    },
    tell,
    leave() {
      entry.isGone = true;
      clearInterval(clock);
      clearTimeout(telling);
      entry.reading.abort();
    },
  };
  shown.set(turn.id, entry);
  place(entry, replaced);
  draw();
  if (!ENDED.has(turn.phase)) {
    clock = setInterval(draw, 100);
    void follow(entry);
  }
  showWork();
  return entry;
}

/** What the page shows of how far a turn is; kept with the turn, to measure how true it was. */
function estimate(turn, at) {
  const far = estimator.estimate(turn, at);
  if (far.leftMs !== null && turn.estimates.length < 600) turn.estimates.push({ at: at - turn.askedAt, left: far.leftMs });
  return far;
}

/** Read a turn to its end, in the one tab that may; the others are told. */
function follow(entry) {
  return conversations.alone(entry.turn.id, async () => {
    if (entry.isGone || ENDED.has(entry.turn.phase)) return;
    await readTurn(entry, { now, analytics, headers: keys.headers });
    drawMeasures(byId("measures"), analytics.report(), estimator.error());
  });
}

function afterEnd(entry) {
  const { turn } = entry;
  if (turn.problem?.code === "unauthorized") {
    entry.view.node.querySelector(".problem").after(askForKey(byId("key-form"), keys.isSet, (key, isRemembered) => {
      keys.use(key, isRemembered);
      byId("forget-key").hidden = false;
      if (entry.isShared) void nameShared(entry);
      if (entry.isShared || canReadOn(turn)) readOn(entry);
      else ask(turn.question, entry);
    }));
    entry.view.node.querySelector(".key-form input").focus();
  } else if (turn.phase !== "failed") composer.askNext();
}

const callbacksOf = (entryOf) => ({
  ask: (text) => ask(text),
  again() {
    const entry = entryOf();
    if (working()) return;
    if (canReadOn(entry.turn)) readOn(entry);
    else ask(entry.turn.question, entry);
  },
  edit: () => composer.edit(entryOf().turn.question),
  share: () => openShare(byId("share"), runOf(entryOf().view.shown()), keys.isSet),
  async rate(rating, comment) {
    const entry = entryOf();
    entry.change({ ...entry.turn, rating }, true);
    const outcome = await sendFeedback(runOf(entry.turn), { rating, comment }, keys.headers());
    if (outcome !== "kept") entry.change({ ...entry.turn, rating: outcome === "refused" ? "refused" : "" }, true);
    setText(announcer, say(outcome === "kept" ? "thanks" : "notKept"));
  },
});

function readOn(entry) {
  entry.change(reviveTurn(entry.turn), true);
  void follow(entry);
}

function place({ turn, view }, replaced) {
  welcome.hidden = true;
  byId("fresh").hidden = false;
  if (replaced) {
    replaced.leave();
    shown.delete(replaced.turn.id);
    const focused = replaced.view.node.contains(document.activeElement);
    replaced.view.node.replaceWith(view.node);
    if (focused) composer.focus(); // its button went with it
  } else {
    for (const details of turns.querySelectorAll(":scope > article > details.steps")) details.open = false;
    turns.append(view.node);
  }
  view.node.dataset.id = turn.id;
}

function stop() {
  const entry = working();
  if (!entry) return;
  stopButton.setAttribute("aria-disabled", "true");
  if (entry.run) return stopRun(entry);
  entry.change(applyEvent(entry.turn, { type: "stopping" }, now()));
  conversations.askToStop(entry.turn.id);
}

async function plug() {
  const entry = working();
  if (entry && (await pullPlug())) entry.change({ ...entry.turn, plugged: true }, true);
}

function stopRun(entry) {
  entry.change(applyEvent(entry.turn, { type: "stopping" }, now()), true);
  void entry.run.stop();
}

/** Show another conversation in this tab. A run of the one that is left goes on at the server. */
function showConversation(choose, { keepsAddress = false } = {}) {
  for (const entry of shown.values()) {
    if (entry.run) entry.tell();
    entry.leave();
  }
  shown.clear();
  turns.replaceChildren();
  welcome.hidden = false;
  byId("fresh").hidden = true;
  announcer.textContent = "";
  composer.clear();
  if (!keepsAddress) leaveShared();
  const { turns: kept, dropped } = choose();
  byId("dropped").hidden = dropped === 0;
  if (dropped > 0) setText(byId("dropped"), say("dropped", dropped));
  for (const turn of kept) adopt(turn);
  turns.lastElementChild?.scrollIntoView({ block: "start" });
  document.title = brandName();
  showWork();
  composer.focus();
}

const brandName = () => globalThis.riverrun.say(brand.name);

function showWork() {
  const entry = working();
  composer.show(entry !== undefined);
  // Never `disabled`: that would throw away the keyboard focus.
  if (!entry && [stopButton, plugButton].includes(document.activeElement)) composer.focus();
  stopButton.hidden = !entry;
  plugButton.hidden = !entry || !hasPlug() || runOf(entry.turn) === "";
  stopButton.setAttribute("aria-disabled", String(entry?.turn.stopping === true));
  const last = [...shown.values()].at(-1)?.turn;
  if (!last) return;
  const mark = entry ? "… " : last.phase === "done" && document.hidden ? `✓ ${say("doneTitle")}: ` : "";
  document.title = `${mark}${(last.question || say("sharedTitle")).slice(0, 60)} – ${brandName()}`;
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const beginConversation = () => showConversation(() => conversations.begin());
stopButton.addEventListener("click", stop);
plugButton.addEventListener("click", plug);
plugButton.title = say("plugTitle");
for (const id of ["fresh", "fresh-here"]) byId(id).addEventListener("click", beginConversation);
bindShortcuts({
  stop: () => working() && stop(),
  write: composer.focus,
  begin: beginConversation,
  copy: () => turns.lastElementChild?.querySelector(".copy").click(),
  help: () => byId("conversations").showPopover(),
});
byId("forget-key").hidden = !keys.isSet;
byId("forget-key").addEventListener("click", ({ target }) => {
  keys.forget();
  target.hidden = true;
});
// Of the page around this one, which `_headers` allowed to frame it; any other cannot.
addEventListener("message", ({ source, data }) => {
  if (source === parent && source !== self && typeof data?.riverrunKey === "string") keys.use(data.riverrunKey, false);
});
void drawSamples(byId("samples"), (text) => {
  composer.focus(); // the sample is about to vanish with the welcome
  ask(text);
}, keys.headers());
createThemeButton(byId("theme"));

let beforeShared = ""; // the conversation that the back button leads to

/** Read the run that the address names, which another page or device asked for. */
function showShared() {
  const run = sharedRun();
  if (run === "") return;
  if (![...shown.values()].some(({ isShared }) => isShared)) beforeShared = conversations.open.id;
  showConversation(() => conversations.begin(), { keepsAddress: true });
  void nameShared(adopt({ ...beginTurn("", now(), `shared-${run}`), cursor: `${run}-0` }));
}

/** Put the question over a shared answer. */
async function nameShared(entry) {
  const question = await readQuestion(runOf(entry.turn), keys.headers());
  if (question !== "") entry.change({ ...entry.turn, question });
}

// What the last visit left: finished turns are shown, an unfinished one is read on.
if (sharedRun() !== "") showShared();
else if (conversations.open.turns.length > 0) showConversation(() => conversations.open);
showWork();
// A page around this one decides itself where the focus is.
if (parent === self) composer.focus();
addEventListener("hashchange", () => {
  if (sharedRun() !== "") showShared();
  // Back from a shared answer to what was here.
  else if ([...shown.values()].some(({ isShared }) => isShared)) showConversation(() => conversations.choose(beforeShared));
});
addEventListener("pagehide", () => {
  for (const entry of shown.values()) if (entry.run) entry.tell();
});
document.addEventListener("visibilitychange", showWork);
