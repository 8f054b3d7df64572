/**
 * One turn on the page: state in, elements out. Every text enters as a text node, the answer
 * through markdown.js; nothing is asked of the network.
 */
import { createActions } from "./actions.js";
import { duration, el, hidden, setText } from "./elements.js";
import { closeMarks, drawCitations, readBlocks, spokenText } from "./markdown.js";
import { say, words } from "./say.js";
import { drawCitation, drawSources } from "./sources.js";
import { describeTimeline, drawTimeline } from "./timeline.js";
import { ENDED } from "./turn.js";

const LONG = 280; // characters: a longer question is folded, and its answer stays in sight

let made = 0;

/**
 * The elements of one turn. `node` goes into the page; `render(turn, now)` brings it up to date
 * and touches only what changed, so that focus and selections survive; `shown()` is the version of
 * it that is shown. `callbacks` are the buttons' (actions.js); `estimate(turn, now)` says how far
 * it is (progress.js).
 */
export function createTurnView(template, callbacks, estimate) {
  const node = template.content.firstElementChild.cloneNode(true);
  const part = (selector) => node.querySelector(selector);
  const prefix = `turn-${(made += 1)}`;
  part(".river").setAttribute("aria-label", say("progress"));
  setText(part(".timeline summary"), say("timeline"));
  const draw = {
    question: drawQuestion(part(".asked"), part(".show-all")),
    steps: drawSteps(part(".steps")),
    answer: drawAnswer(part(".answer"), prefix, node),
    sources: drawSources(part(".sources"), prefix),
    timeline: drawPicture(part(".timeline")),
    actions: createActions(node, callbacks),
    versions: drawVersions(part(".versions"), (chosen) => {
      at = chosen;
      render(latest, latest.endedAt);
    }),
  };
  let [latest, at] = [null, Infinity]; // the newest of the versions is shown until another is chosen
  const shown = () => latest.versions?.[at] ?? latest;

  function render(newest, now) {
    latest = newest;
    const turn = shown();
    const far = estimate(turn, now);
    draw.versions(newest, turn);
    node.dataset.phase = turn.phase;
    node.dataset.link = turn.link;
    draw.question(turn.question);
    drawRiver(part(".river"), turn, far.progress);
    draw.steps(turn, now);
    draw.sources(turn);
    draw.answer(turn);
    draw.timeline(turn, now);
    draw.actions(turn);
    drawWords(part, turn, now, far.leftMs);
  }
  return { node, render, shown };
}

/** Two buttons between the answers to a question that was asked again. */
function drawVersions(box, choose) {
  const [earlier, place, later] = box.children;
  earlier.setAttribute("aria-label", say("earlierAnswer"));
  later.setAttribute("aria-label", say("laterAnswer"));
  return ({ versions = [], phase }, shown) => {
    box.hidden = versions.length === 0 || !ENDED.has(phase);
    const at = versions.includes(shown) ? versions.indexOf(shown) : versions.length;
    setText(place, say("version", at + 1, versions.length + 1));
    for (const [button, next] of [[earlier, at - 1], [later, at + 1]]) {
      const isEnd = next < 0 || next > versions.length;
      button.setAttribute("aria-disabled", String(isEnd));
      button.onclick = () => isEnd || choose(next);
    }
  };
}

function drawQuestion(heading, button) {
  let isOpen = false;
  const fold = () => {
    heading.classList.toggle("folded", !isOpen);
    setText(button, say(isOpen ? "showLess" : "showAll"));
    button.setAttribute("aria-expanded", String(isOpen));
  };
  button.addEventListener("click", () => {
    isOpen = !isOpen;
    fold();
  });
  return (question) => {
    setText(heading, question || say("sharedTitle"));
    const isLong = question.length > LONG || question.split("\n").length > 5;
    heading.classList.toggle("long", isLong);
    button.hidden = !isLong;
    if (isLong) fold();
  };
}

function drawRiver(river, turn, progress) {
  const shown = Math.max(progress, Number(river.dataset.shown ?? 0));
  const percent = Math.round(shown * 100);
  river.dataset.shown = String(shown); // water does not flow back
  river.setAttribute("aria-valuenow", String(percent));
  river.setAttribute("aria-valuetext", ENDED.has(turn.phase) ? words.phase[turn.phase] : `${percent} %`);
  river.style.setProperty("--progress", String(Math.max(shown, 0.03)));
}

function drawSteps(details) {
  const list = details.querySelector("ol");
  const summary = details.querySelector("summary");
  return (turn, now) => {
    details.hidden = turn.steps.length === 0;
    setText(summary, say("steps", turn.steps.length));
    turn.steps.forEach((step, at) => {
      const row = list.children[at] ?? list.appendChild(newStep());
      const [icon, description, time] = row.children;
      row.dataset.state = step.state;
      setText(icon.firstElementChild, `${words.step[step.state]}: `);
      setText(description, step.description || say("stepName", step.number));
      const ms = step.ms ?? (step.state === "executing" ? now - step.seenAt : null);
      setText(time, ms === null ? "" : duration(ms));
    });
    while (list.children.length > turn.steps.length) list.lastElementChild.remove();
  };
}

function newStep() {
  return el("li", {}, el("span.icon", {}, hidden("")), el("span.description", { dir: "auto" }), el("span.time"));
}

function drawWords(part, turn, now, leftMs) {
  const notices = part(".notices");
  const all = [...turn.notices, ...(turn.isForgotten ? [say("forgotten")] : []), ...(turn.plugged ? [plugWords(turn)] : [])];
  notices.hidden = all.length === 0;
  all.forEach((text, at) => setText(notices.children[at] ?? notices.appendChild(el("li", { dir: "auto" })), text));
  while (notices.children.length > all.length) notices.lastElementChild.remove();

  part(".link").hidden = turn.link !== "cut";
  if (turn.link === "cut") setText(part(".link"), linkWords(turn));

  const { problem } = turn;
  part(".problem").hidden = problem === null;
  if (problem) {
    setText(part(".what"), problem.message || say("notFinished"));
    setText(part(".problem .hint"), hintWords(problem));
  }
  const ended = ENDED.has(turn.phase);
  const [small, more] = part(".small").children;
  setText(small, ended ? smallPrint(turn) : turn.stopping ? say("stopping") : waitWords(turn, now, leftMs));
  setText(more, ended ? figuresOf(turn) : "");
}

function plugWords({ phase }) {
  const next = phase === "done" ? say("plugWentOn") : ENDED.has(phase) ? "" : say("plugGoesOn");
  return [say("plugPulled"), next].filter(Boolean).join(" ");
}

function linkWords(turn) {
  if (navigator.onLine === false) return say("offline");
  return say(turn.steps.length > 0 || turn.answer !== "" ? "interrupted" : "noConnection");
}

function hintWords({ hint, retryAfterMs }) {
  const later = retryAfterMs ? say("waitBefore", duration(retryAfterMs)) : "";
  return [hint, later].filter(Boolean).join(" ");
}

function waitWords(turn, now, leftMs) {
  const time = duration(now - turn.askedAt);
  // Under two seconds it is no help, and it would only flicker.
  const left = leftMs !== null && leftMs >= 2_000 ? say("expected", duration(Math.round(leftMs / 1_000) * 1_000)) : "";
  return [say(turn.phase === "asking" ? "asking" : "soFar", time), left].filter(Boolean).join(" · ");
}

function smallPrint(turn) {
  const total = duration(turn.endedAt - turn.askedAt);
  const how = say({ done: "finished", stopped: "stoppedAfter", failed: "failedAfter" }[turn.phase], total);
  const short = words.short[turn.finishReason] ?? "";
  const line = [how, short, turn.truncated ? say("trimmed") : ""].filter(Boolean).join(" · ");
  return line.charAt(0).toUpperCase() + line.slice(1);
}

/** For those who want to see the machinery. */
function figuresOf({ firstTokenAt, askedAt, usage }) {
  const first = firstTokenAt === null ? "" : say("firstWords", duration(firstTokenAt - askedAt));
  const cost = usage ? say("tokens", usage.inputTokens, usage.outputTokens) : "";
  return [first, cost].filter(Boolean).map((figure) => ` · ${figure}`).join("");
}

/** The stream's picture, drawn while it is open. */
function drawPicture(details) {
  let last = null;
  const paint = () => {
    if (!details.open || !last) return;
    const [turn, now] = last;
    drawTimeline(details.querySelector("svg"), turn, now);
    setText(details.querySelector("p"), describeTimeline(turn));
  };
  details.addEventListener("toggle", paint);
  return (turn, now) => {
    last = [turn, now];
    details.hidden = turn.timeline.length === 0;
    paint();
  };
}

/** The answer, block by block: only a block that changed is drawn again. */
function drawAnswer(container, prefix, turnNode) {
  let drawn = [];
  let sources = [];
  const sourceOf = (number) => sources[number - 1];
  return (turn) => {
    sources = turn.sources;
    container.setAttribute("aria-busy", String(!ENDED.has(turn.phase)));
    const titles = turn.sources.map((source) => source.title);
    const blocks = readBlocks(turn.phase === "done" ? turn.answer : closeMarks(turn.answer));
    const keys = blocks.map(({ key }) => JSON.stringify([key, titles]));
    blocks.forEach(({ draw }, at) => {
      if (drawn[at] === keys[at]) return;
      const fresh = draw();
      drawCitations(fresh, (numbers) => drawCitation(numbers, { titles, prefix, turnNode, sourceOf }));
      if (container.children[at]) container.children[at].replaceWith(fresh);
      else container.append(fresh);
    });
    while (container.children.length > blocks.length) container.lastElementChild.remove();
    drawn = keys;
  };
}

/** What a screen reader is told at the end; the tokens were not read one by one. */
export function spokenEnd(turn) {
  if (turn.phase === "done") return `${say("answerSaid", turn.sources.length)} ${spokenText(turn.answer)}`;
  return turn.phase === "stopped" ? say("stoppedSaid") : ""; // a failure is an alert of its own
}
