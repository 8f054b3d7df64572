/**
 * The passages that an answer stands on, and the numbers in the answer that lead to them.
 */
import { el, hidden, setText } from "./elements.js";
import { bindPreview } from "./preview.js";
import { say } from "./say.js";

/**
 * Numbers that name a source become links; any other bracket stays the text it was. `sourceOf`
 * gives what is known of a source by then.
 */
export function drawCitation(numbers, { titles, prefix, turnNode, sourceOf }) {
  if (!numbers.every((number) => number >= 1 && number <= titles.length)) return null;
  return numbers.map((number) => {
    const link = el("a.cite", { href: `#${prefix}-source-${number}` }, String(number));
    link.setAttribute("aria-label", `${say("source", number)}: ${titles[number - 1]}`);
    const find = () => ({ source: sourceOf(number), before: textBefore(link) });
    bindPreview(link, find, () => openSource(turnNode, `${prefix}-source-${number}`, link));
    return link;
  });
}

/** What a citation stands behind: its block's text since the last number before it. */
function textBefore(link) {
  const block = link.closest(".answer > *");
  const cites = [...block.querySelectorAll(".cite")];
  let first = link; // numbers side by side stand behind the same words
  while (first.previousSibling?.className === "cite") first = first.previousSibling;
  const range = new Range();
  range.selectNodeContents(block);
  range.setEndBefore(first);
  const earlier = cites[cites.indexOf(first) - 1];
  if (earlier) range.setStartAfter(earlier);
  return range.toString();
}

function openSource(turnNode, id, from) {
  const details = turnNode.querySelector(`#${id}`);
  const back = details.querySelector(".back");
  for (let box = details; box !== turnNode; box = box.parentElement) if (box.localName === "details") box.open = true;
  back.hidden = false;
  back.onclick = () => from.focus();
  details.querySelector("summary").focus();
  (details.querySelector("mark") ?? details).scrollIntoView({ block: "nearest" });
}

/** Every source with its number, and whether the answer cites it: as the server says, or it does. */
export function citedSources({ answer, sources }) {
  const named = new Set([...answer.matchAll(/\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]/g)].flatMap(([, numbers]) => numbers.split(",").map(Number)));
  return sources.map((source, at) => ({ source, number: at + 1, isCited: source.cited ?? named.has(at + 1) }));
}

/**
 * A function that shows `sources` in `section`: the cited ones under their numbers, the others
 * folded below.
 */
export function drawSources(section, prefix) {
  const [cited, other] = section.querySelectorAll("ol");
  const rest = section.querySelector(".other");
  setText(section.querySelector("h3"), say("sources"));
  setText(rest.querySelector("summary"), say("otherSources"));
  let drawn = "";
  return ({ sources, answer, phase }) => {
    const parts = citedSources({ answer, sources });
    // While it is written, and where nothing is cited, all of them stand together.
    const isSplit = phase === "done" && parts.some(({ isCited }) => isCited);
    const key = JSON.stringify([sources, isSplit && parts.map(({ isCited }) => isCited)]);
    if (key === drawn) return;
    drawn = key;
    // The final event repeats the sources, trimmed perhaps: an opened one stays open.
    const open = new Set([...section.querySelectorAll("[open][id]")].map((details) => details.id));
    const rows = (chosen) => chosen.map(({ source, number }) => newSource(source, number, prefix));
    cited.replaceChildren(...rows(parts.filter(({ isCited }) => !isSplit || isCited)));
    other.replaceChildren(...rows(parts.filter(({ isCited }) => isSplit && !isCited)));
    section.hidden = sources.length === 0;
    rest.hidden = other.children.length === 0;
    for (const id of open) section.querySelector(`#${id}`)?.setAttribute("open", "");
  };
}

function newSource(source, number, prefix) {
  const score = source.score === null ? "" : source.score.toFixed(2);
  const summary = el(
    "summary",
    {},
    el("span.number", { ariaHidden: "true" }, String(number)),
    el("span.title", { dir: "auto" }, hidden(`${say("source", number)}: `), source.title),
    el("span.score", { title: say("similarity") }, score && hidden(`${say("similarity")} `), score),
  );
  const back = el("button.quiet.back", { type: "button", hidden: true }, say("backToAnswer"));
  const details = el("details", { id: `${prefix}-source-${number}` }, summary, newPassage(source));
  details.append(el("p.where", {}, ...where(source), " ", back));
  return el("li", {}, details);
}

/** The whole passage where there is one, its quoted sentences marked. */
function newPassage({ text, snippet, quotes }) {
  const passage = el("blockquote", { dir: "auto" });
  const whole = text || snippet;
  let from = 0;
  for (const [start, end] of [...quotes].sort((a, b) => a[0] - b[0])) {
    if (start < from || end > whole.length) continue;
    passage.append(whole.slice(from, start), el("mark", {}, whole.slice(start, end)));
    from = end;
  }
  passage.append(whole.slice(from) || (from === 0 ? say("noPassage") : ""));
  return passage;
}

/** A web address is a link; any other (a file, an S3 key, `javascript:`) is only said. */
function where({ uri, href }) {
  const parts = [];
  if (isWeb(uri)) parts.push(newLink(uri, uri));
  else if (uri !== "") parts.push(el("span", {}, uri));
  // The document itself, where the server has its text: an address on this server alone.
  if (/^\/(?!\/)/.test(href)) parts.push(" ", newLink(href, say("openDocument")));
  return parts;
}

const isWeb = (uri) => /^https?:\/\//i.test(uri) && URL.canParse(uri);
const newLink = (href, text) => el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
