/**
 * The page: state in, elements out. Every text enters as a text node, the answer through
 * markdown.js; nothing is asked of the network.
 */
import { drawCitations, readBlocks, spokenText } from "./markdown.js";
import { describeTimeline, drawTimeline } from "./timeline.js";
import { ENDED, canReadOn } from "./turn.js";

const STEP_WORDS = {
  pending: "waiting",
  executing: "working",
  completed: "done",
  failed: "failed",
  stopped: "stopped",
};

/** An element with properties, classes first, and children that are elements or text. */
function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  node.classList.add(...classes);
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

const hidden = (text) => el("span.visually-hidden", {}, text);

/** Milliseconds as a person says them: `84 ms`, `1.3 s`, `40 s`, `2 min 5 s`. */
export function duration(ms) {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

let made = 0;

/**
 * The elements of one turn. `node` goes into the page; `render(turn, now)` brings it up to date
 * and touches only what changed, so that focus and selections survive. `again` is
 * called when its question shall be asked once more.
 */
export function createTurnView(template, again) {
  const node = template.content.firstElementChild.cloneNode(true);
  const part = (selector) => node.querySelector(selector);
  const prefix = `turn-${(made += 1)}`;
  const draw = {
    steps: drawSteps(part(".steps")),
    answer: drawAnswer(part(".answer"), prefix, node),
    sources: drawSources(part(".sources"), prefix),
    timeline: drawPicture(part(".timeline")),
  };
  part(".again").addEventListener("click", again);

  function render(turn, now) {
    node.dataset.phase = turn.phase;
    node.dataset.link = turn.link;
    setText(part(".asked"), turn.question);
    drawRiver(part(".river"), turn);
    draw.steps(turn, now);
    draw.sources(turn.sources);
    draw.answer(turn);
    draw.timeline(turn, now);
    drawWords(part, turn, now);
  }
  return { node, render };
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawRiver(river, turn) {
  const percent = Math.round(turn.progress * 100);
  river.setAttribute("aria-valuenow", String(percent));
  river.setAttribute("aria-valuetext", ENDED.has(turn.phase) ? phaseWords(turn) : `${percent} %`);
  river.style.setProperty("--progress", String(Math.max(turn.progress, 0.03)));
}

function phaseWords(turn) {
  return { done: "finished", stopped: "stopped", failed: "failed" }[turn.phase];
}

function drawSteps(details) {
  const list = details.querySelector("ol");
  const summary = details.querySelector("summary");
  return (turn, now) => {
    details.hidden = turn.steps.length === 0;
    const count = turn.steps.length === 1 ? "1 step" : `${turn.steps.length} steps`;
    setText(summary, count);
    turn.steps.forEach((step, at) => {
      const row = list.children[at] ?? list.appendChild(newStep());
      const [icon, description, time] = row.children;
      row.dataset.state = step.state;
      setText(icon.firstElementChild, `${STEP_WORDS[step.state]}: `);
      setText(description, step.description);
      const ms = step.ms ?? (step.state === "executing" ? now - step.seenAt : null);
      setText(time, ms === null ? "" : duration(ms));
    });
    while (list.children.length > turn.steps.length) list.lastElementChild.remove();
  };
}

function newStep() {
  return el("li", {}, el("span.icon", {}, hidden("")), el("span.description"), el("span.time"));
}

function drawWords(part, turn, now) {
  const ended = ENDED.has(turn.phase);
  const notices = part(".notices");
  notices.hidden = turn.notices.length === 0;
  for (const text of turn.notices.slice(notices.children.length)) notices.append(el("li", {}, text));

  part(".link").hidden = turn.link !== "cut";
  if (turn.link === "cut") setText(part(".link"), linkWords(turn));

  const { problem } = turn;
  part(".problem").hidden = problem === null;
  if (problem) {
    setText(part(".what"), problem.message);
    setText(part(".problem .hint"), hintWords(problem));
  }
  const again = part(".again");
  again.hidden = turn.phase !== "stopped" && turn.phase !== "failed";
  setText(again, canReadOn(turn) ? "Read on" : turn.phase === "failed" ? "Try again" : "Ask again");
  setText(part(".small"), ended ? smallPrint(turn) : turn.stopping ? "Stopping …" : waitWords(turn, now));
}

function linkWords(turn) {
  if (navigator.onLine === false) return "This device is offline. The answer goes on when it is back.";
  return turn.steps.length > 0 || turn.answer !== ""
    ? "The connection was interrupted. Picking up where it broke …"
    : "No connection to the server yet. Trying again …";
}

function hintWords({ hint, retryAfterMs }) {
  const later = retryAfterMs ? `Wait ${duration(retryAfterMs)} before asking again.` : "";
  return [hint, later].filter(Boolean).join(" ");
}

function waitWords(turn, now) {
  return turn.phase === "asking" ? duration(now - turn.askedAt) : `${duration(now - turn.askedAt)} so far`;
}

function smallPrint(turn) {
  const total = duration(turn.endedAt - turn.askedAt);
  const first = turn.firstTokenAt === null ? "" : `First words after ${duration(turn.firstTokenAt - turn.askedAt)}`;
  const how = {
    done: first === "" ? `Finished in ${total}` : `finished in ${total}`,
    stopped: first === "" ? `Stopped after ${total}` : `stopped after ${total}`,
    failed: first === "" ? `Failed after ${total}` : `failed after ${total}`,
  }[turn.phase];
  const cost = turn.usage ? `${turn.usage.inputTokens} tokens in, ${turn.usage.outputTokens} out` : "";
  const short = { length: "cut at the length limit", budget: "cut at the budget" }[turn.finishReason] ?? "";
  const trimmed = turn.truncated ? "details trimmed" : "";
  return [first, how, short, trimmed, cost].filter(Boolean).join(" · ");
}

/** The stream's picture, drawn while it is open. */
function drawPicture(details) {
  let last = null;
  const paint = () => {
    if (!details.open || !last) return;
    const [turn, now] = last;
    drawTimeline(details.querySelector("svg"), turn, now, duration);
    setText(details.querySelector("p"), describeTimeline(turn, duration));
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
  return (turn) => {
    container.setAttribute("aria-busy", String(!ENDED.has(turn.phase)));
    const titles = turn.sources.map((source) => source.title);
    const blocks = readBlocks(turn.answer);
    const keys = blocks.map(({ key }) => JSON.stringify([key, titles]));
    blocks.forEach(({ draw }, at) => {
      if (drawn[at] === keys[at]) return;
      const fresh = draw();
      drawCitations(fresh, (numbers) => drawCitation(numbers, { titles, prefix, turnNode }));
      if (container.children[at]) container.children[at].replaceWith(fresh);
      else container.append(fresh);
    });
    while (container.children.length > blocks.length) container.lastElementChild.remove();
    drawn = keys;
  };
}

/** Numbers that name a source become links; any other bracket stays the text it was. */
function drawCitation(numbers, { titles, prefix, turnNode }) {
  if (!numbers.every((number) => number >= 1 && number <= titles.length)) return null;
  return numbers.map((number) => {
    const link = el("a.cite", { href: `#${prefix}-source-${number}` }, String(number));
    link.setAttribute("aria-label", `Source ${number}: ${titles[number - 1]}`);
    link.addEventListener("click", (click) => {
      click.preventDefault();
      openSource(turnNode, `${prefix}-source-${number}`, link);
    });
    return link;
  });
}

function openSource(turnNode, id, from) {
  const details = turnNode.querySelector(`#${id}`);
  const back = details.querySelector(".back");
  details.open = true;
  back.hidden = false;
  back.onclick = () => from.focus();
  details.querySelector("summary").focus();
  details.scrollIntoView({ block: "nearest" });
}

function drawSources(section, prefix) {
  const list = section.querySelector("ol");
  let drawn = "";
  return (sources) => {
    const key = JSON.stringify(sources);
    if (key === drawn) return;
    drawn = key;
    section.hidden = sources.length === 0;
    // The final event repeats the sources, trimmed perhaps: an opened one stays open.
    const open = new Set([...list.querySelectorAll("[open]")].map((details) => details.id));
    list.replaceChildren(...sources.map((source, at) => newSource(source, at + 1, prefix)));
    for (const id of open) list.querySelector(`#${id}`)?.setAttribute("open", "");
  };
}

function newSource(source, number, prefix) {
  const score = source.score === null ? "" : source.score.toFixed(2);
  const summary = el(
    "summary",
    {},
    el("span.number", { ariaHidden: "true" }, String(number)),
    el("span.title", {}, hidden(`Source ${number}: `), source.title),
    el("span.score", { title: "Similarity with the question" }, score && hidden("similarity "), score),
  );
  const back = el("button.quiet.back", { type: "button", hidden: true }, "Back to the answer");
  const passage = el("blockquote", {}, source.snippet || "This passage is not shown.");
  const details = el("details", { id: `${prefix}-source-${number}` }, summary, passage);
  details.append(el("p.where", {}, ...where(source.uri), " ", back));
  return el("li", {}, details);
}

/** A web address is a link; any other address (a file, an S3 key, `javascript:`) is only said. */
function where(uri) {
  if (!/^https?:\/\//i.test(uri) || !URL.canParse(uri)) return uri === "" ? [] : [el("span", {}, uri)];
  return [el("a", { href: uri, target: "_blank", rel: "noopener noreferrer" }, uri)];
}

/** What a screen reader is told at the end; the tokens were not read one by one. */
export function spokenEnd(turn) {
  const count = turn.sources.length === 1 ? "1 source" : `${turn.sources.length} sources`;
  if (turn.phase === "done") return `Answer, with ${count}. ${spokenText(turn.answer)}`;
  if (turn.phase === "stopped") return "Stopped.";
  return ""; // a failure is an alert of its own
}
