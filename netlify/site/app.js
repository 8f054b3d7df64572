/**
 * Brings the page to life: a question goes out, its events come in, the view follows. The rules of
 * the wire are in client/, the meaning of events in turn.js, the elements in view.js, and what is
 * kept and shared with other tabs in conversation.js.
 */
import { createAnalytics, outcomeOf } from "./client/analytics.js";
import { RiverrunError, join, stream } from "./client/index.js";
import { openConversation } from "./conversation.js";
import { drawMeasures } from "./measures.js";
import { ENDED, applyEvent, beginTurn, canReadOn, failTurn, reviveTurn } from "./turn.js";
import { createTurnView, spokenEnd } from "./view.js";

const byId = (id) => document.getElementById(id);
const [form, question, askButton, stopButton] = ["composer", "question", "ask", "stop"].map(byId);
const [turns, welcome, announcer, freshButton] = ["turns", "welcome", "announcer", "fresh"].map(byId);

const TELL_EVERY = 150; // milliseconds between two words to the other tabs
const now = () => performance.timeOrigin + performance.now();
const analytics = createAnalytics();
const shown = new Map(); // by id: {turn, view, run, change, ...}, in order

const conversation = openConversation({
  onTurn(turn, replaces) {
    const entry = shown.get(turn.id);
    if (entry?.run) return; // this tab reads it, and knows better
    if (entry) entry.change(turn);
    else adopt(turn, shown.get(replaces));
  },
  onFresh: forgetAll,
  onStop(id) {
    const entry = shown.get(id);
    if (entry?.run) stopRun(entry);
  },
});

function ask(text, replaced) {
  const query = text.trim();
  if (query === "" || working()) return;
  const turn = { ...beginTurn(query, now(), newId()), asks: conversation.sessionId };
  conversation.tell(turn, { replaces: replaced?.turn.id });
  const entry = adopt(turn, replaced);
  // The new question goes to the top once; from then on only the reader scrolls.
  entry.view.node.scrollIntoView({ block: "start" });
}

/** The turn that is not over, if there is one. */
const working = () => [...shown.values()].find(({ turn }) => !ENDED.has(turn.phase));

/** Show a turn of any tab, and read it when no other tab does. */
function adopt(turn, replaced) {
  const view = createTurnView(byId("turn"), () => again(entry));
  let drawing = 0;
  let clock = 0;
  let telling = 0;
  const draw = () => {
    drawing = 0;
    view.render(entry.turn, now());
  };
  const tell = () => {
    clearTimeout(telling);
    telling = 0;
    if (!entry.gone) conversation.tell(entry.turn, { sessionId: entry.turn.sessionId ?? undefined });
  };
  const entry = {
    turn,
    view,
    run: null,
    gone: false,
    change(next, mine = false) {
      announce(entry.turn, next);
      entry.turn = next;
      // Many tokens, one drawing. A hidden page gets no frames, and needs none.
      drawing ||= requestAnimationFrame(draw);
      if (mine) telling ||= setTimeout(tell, TELL_EVERY);
      if (ENDED.has(next.phase)) {
        clearInterval(clock);
        clock = 0;
        cancelAnimationFrame(drawing);
        draw();
        if (mine) tell();
      } else clock ||= setInterval(draw, 100);
      if (!entry.gone) showWork();
    },
    tell,
    leave() {
      entry.gone = true;
      clearInterval(clock);
      clearTimeout(telling);
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

/** Read a turn to its end, in the one tab that may; the others are told. */
function follow(entry) {
  return conversation.alone(entry.turn.id, async () => {
    if (entry.gone || ENDED.has(entry.turn.phase)) return;
    const change = (event) => entry.change(applyEvent(entry.turn, event, now()), true);
    const [, runId, after] = /^(.+)-([0-9]+)$/.exec(entry.turn.cursor) ?? [];
    // Longer than half a minute is for the person to decide.
    // A pause is the server's affair; it becomes the reader's when coming back brings nothing.
    const onRetry = ({ paused, attempt }) => (paused && attempt === 1) || change({ type: "cut" });
    const hears = { retryPolicy: { longestRetryAfter: 30_000 }, onOpen: () => change({ type: "open" }), onRetry };
    // Under the same key the question is asked once, though a reload may send it again.
    const asked = { ...hears, sessionId: entry.turn.asks, idempotencyKey: entry.turn.id };
    const run = runId ? join(runId, { ...hears, after: Number(after) }) : stream(entry.turn.question, asked);
    const watch = analytics.watch();
    entry.run = run;
    try {
      for await (const event of run) {
        watch.event(event);
        if (event.type === "final") watch.end(outcomeOf(event));
        entry.change({ ...applyEvent(entry.turn, event, now()), cursor: run.cursor }, true);
      }
    } catch (problem) {
      watch.end(outcomeOf(problem));
      if (!(problem instanceof RiverrunError)) console.error(problem);
      entry.change(failTurn(entry.turn, inWords(problem), now()), true);
    } finally {
      entry.run = null;
      drawMeasures(byId("measures"), analytics.report());
    }
  });
}

/** A problem as this page says it. */
function inWords(problem) {
  if (!(problem instanceof RiverrunError)) return { message: "This page made a mistake.", code: "internal" };
  const { code, hint, partial, retryAfterMs } = problem;
  const said = {
    interrupted: "The connection was lost before the answer was complete.",
    unreachable: "The server cannot be reached.",
    not_a_stream: "The server answered with something other than an event stream.",
    redirected: "The server answered with something other than an event stream.",
  }[problem.status < 400 ? code : ""];
  return said ? { message: said, code, partial, retryAfterMs, hint: hint || "Check the connection, then go on." } : problem;
}

function place({ turn, view }, replaced) {
  welcome.hidden = true;
  freshButton.hidden = false;
  if (replaced) {
    replaced.leave();
    shown.delete(replaced.turn.id);
    const focused = replaced.view.node.contains(document.activeElement);
    replaced.view.node.replaceWith(view.node);
    if (focused) question.focus(); // its button went with it
  } else {
    for (const details of turns.querySelectorAll(":scope > article > details.steps")) details.open = false;
    turns.append(view.node);
  }
}

/** What the button of a turn that is over does: read it on, or ask it again. */
function again(entry) {
  if (working()) return;
  if (!canReadOn(entry.turn)) return ask(entry.turn.question, entry);
  entry.change(reviveTurn(entry.turn), true);
  void follow(entry);
}

function stop() {
  const entry = working();
  if (!entry) return;
  stopButton.setAttribute("aria-disabled", "true");
  if (entry.run) return stopRun(entry);
  entry.change(applyEvent(entry.turn, { type: "stopping" }, now()));
  conversation.askToStop(entry.turn.id);
}

function stopRun(entry) {
  entry.change(applyEvent(entry.turn, { type: "stopping" }, now()), true);
  void entry.run.stop();
}

function startAfresh() {
  forgetAll();
  conversation.startAfresh();
  question.focus();
}

function forgetAll() {
  for (const entry of shown.values()) {
    entry.leave();
    void entry.run?.stop();
  }
  shown.clear();
  turns.replaceChildren();
  welcome.hidden = false;
  freshButton.hidden = true;
  announcer.textContent = "";
  showWork();
}

function showWork() {
  const entry = working();
  // Never `disabled`: that would throw away the keyboard focus.
  askButton.setAttribute("aria-disabled", String(entry !== undefined));
  if (!entry && document.activeElement === stopButton) question.focus();
  stopButton.hidden = !entry;
  stopButton.setAttribute("aria-disabled", String(entry?.turn.stopping === true));
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function announce(before, after) {
  const news = [];
  for (const step of after.steps) {
    const old = before.steps.find((one) => one.number === step.number);
    if (step.state === "executing" && step.description !== old?.description) news.push(step.description);
  }
  if (after.link === "cut" && before.link !== "cut") news.push("Connection interrupted, trying again.");
  if (ENDED.has(after.phase) && !ENDED.has(before.phase)) news.push(spokenEnd(after));
  if (news.length > 0) announcer.textContent = news.join(" ");
}

const root = document.documentElement;

function fitQuestion() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  if (working() || question.value.trim() === "") return question.focus();
  const text = question.value;
  question.value = "";
  fitQuestion();
  ask(text);
});
question.addEventListener("input", fitQuestion);
question.addEventListener("keydown", (key) => {
  // Enter also confirms a word in an input method; that Enter is not a question.
  if (key.key !== "Enter" || key.shiftKey || key.isComposing) return;
  key.preventDefault();
  form.requestSubmit();
});
document.addEventListener("keydown", (key) => {
  if (key.key === "Escape" && working() && !key.isComposing) stop();
});
stopButton.addEventListener("click", stop);
freshButton.addEventListener("click", startAfresh);
for (const sample of document.querySelectorAll(".sample")) {
  sample.addEventListener("click", () => {
    question.focus(); // the sample is about to vanish with the welcome
    ask(sample.textContent);
  });
}

const themeButton = byId("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

function showTheme() {
  themeButton.setAttribute("aria-pressed", String(isDark()));
  if (!root.dataset.theme) return; // the two meta elements follow the system by themselves
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
    meta.content = getComputedStyle(document.body).backgroundColor;
  }
}

themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("riverrun-theme", root.dataset.theme);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
  showTheme();
});
dark.addEventListener("change", showTheme);
showTheme();

// What the last visit left: finished turns are shown, an unfinished one is read on.
for (const turn of conversation.turns()) adopt(turn);
turns.lastElementChild?.scrollIntoView({ block: "start" });
addEventListener("pagehide", () => {
  for (const entry of shown.values()) if (entry.run) entry.tell();
});
