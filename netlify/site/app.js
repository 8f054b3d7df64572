/**
 * Brings the page to life: a question goes out, its events come in, the view follows. The rules of
 * the wire are in stream.js, the meaning of events in turn.js, the elements in view.js.
 */
import { StreamError, openRun } from "./stream.js";
import { ENDED, applyEvent, beginTurn, failTurn } from "./turn.js";
import { createTurnView, spokenEnd } from "./view.js";

const byId = (id) => document.getElementById(id);
const [form, question, askButton, stopButton] = ["composer", "question", "ask", "stop"].map(byId);
const [turns, welcome, announcer, freshButton] = ["turns", "welcome", "announcer", "fresh"].map(byId);

let sessionId = "";
let running = null; // {run, change}: the one answer being written
let conversation = 0; // an answer that outlived its conversation may not write into the next one

async function ask(text, replaced) {
  const query = text.trim();
  if (query === "" || running) return;
  const mine = conversation;
  const view = createTurnView(byId("turn"), () => ask(query, view));
  let turn = beginTurn(query, performance.now());
  let drawing = 0;
  const draw = () => {
    drawing = 0;
    view.render(turn, performance.now());
  };
  const change = (next) => {
    announce(turn, next);
    turn = next;
    // Many tokens, one drawing. A hidden page gets no frames, and needs none.
    drawing ||= requestAnimationFrame(draw);
  };

  show(view, replaced);
  const run = openRun(query, { sessionId });
  running = { run, change: (event) => change(applyEvent(turn, event, performance.now())) };
  setBusy(true);
  draw();
  // The new question goes to the top once; from then on only the reader scrolls.
  view.node.scrollIntoView({ block: "start" });
  const clock = setInterval(draw, 100);
  try {
    for await (const event of run.events()) change(applyEvent(turn, event, performance.now()));
  } catch (problem) {
    if (!(problem instanceof StreamError)) console.error(problem);
    const known = problem instanceof StreamError ? problem : new StreamError("This page made a mistake.");
    change(failTurn(turn, known, performance.now()));
  } finally {
    clearInterval(clock);
    cancelAnimationFrame(drawing);
    draw();
    if (mine === conversation) {
      running = null;
      sessionId = turn.sessionId ?? sessionId;
      setBusy(false);
    }
  }
}

function show(view, replaced) {
  welcome.hidden = true;
  freshButton.hidden = false;
  if (replaced) {
    replaced.node.replaceWith(view.node);
    question.focus(); // its button went with it
    return;
  }
  for (const details of turns.querySelectorAll(":scope > article > details.steps")) details.open = false;
  turns.append(view.node);
}

function stop() {
  if (!running) return;
  running.change({ type: "stopping" });
  stopButton.setAttribute("aria-disabled", "true");
  running.run.stop();
}

function startAfresh() {
  conversation += 1;
  running?.run.stop();
  running = null;
  sessionId = "";
  turns.replaceChildren();
  welcome.hidden = false;
  freshButton.hidden = true;
  announcer.textContent = "";
  setBusy(false);
  question.focus();
}

function setBusy(busy) {
  // Never `disabled`: that would throw away the keyboard focus.
  askButton.setAttribute("aria-disabled", String(busy));
  if (!busy && document.activeElement === stopButton) question.focus();
  stopButton.hidden = !busy;
  stopButton.setAttribute("aria-disabled", "false");
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
  if (running || question.value.trim() === "") return question.focus();
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
  if (key.key === "Escape" && running && !key.isComposing) stop();
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
