/**
 * The buttons below an answer: copy, ask again, edit, share and feedback.
 */
import { copyText, el, setText } from "./elements.js";
import { citedSources } from "./sources.js";
import { brand, say } from "./say.js";
import { ENDED, canReadOn, runOf } from "./turn.js";

const SHOWN_MS = 1_600; // how long a button says that it has done its work

/**
 * A function that brings the buttons of a turn's `node` up to date. `callbacks`: `again`, `edit`,
 * `share` and `rate(rating, comment)`.
 */
export function createActions(node, callbacks) {
  const part = (selector) => node.querySelector(selector);
  const buttons = {
    again: part(".again"),
    copy: part(".copy"),
    redo: part(".redo"),
    edit: part(".edit"),
    share: part(".share-turn"),
    good: part(".good"),
    bad: part(".bad"),
  };
  for (const [name, word] of [["copy", "copy"], ["redo", "again"], ["edit", "edit"], ["share", "share"]]) {
    setText(buttons[name], say(word));
  }
  for (const name of ["good", "bad"]) {
    buttons[name].setAttribute("aria-label", say(name));
    buttons[name].title = say(name);
  }
  const comment = part(".feedback");
  setText(comment.querySelector("span"), say("feedbackWord"));
  setText(comment.querySelector("button"), say("send"));

  let turn;
  buttons.copy.dataset.done = say("copied"); // its width is kept free
  buttons.again.addEventListener("click", () => callbacks.again());
  buttons.redo.addEventListener("click", () => callbacks.again());
  buttons.edit.addEventListener("click", () => callbacks.edit());
  buttons.share.addEventListener("click", () => callbacks.share());
  buttons.copy.addEventListener("click", () => copyAnswer(buttons.copy, turn, part(".answer")));
  for (const rating of ["good", "bad"]) {
    buttons[rating].addEventListener("click", () => {
      const value = rating === "good" ? "up" : "down";
      const next = turn.rating === value ? "" : value;
      callbacks.rate(next, "");
      comment.hidden = next !== "down";
      if (!comment.hidden) comment.querySelector("input").focus();
    });
  }
  comment.addEventListener("submit", (submit) => {
    submit.preventDefault();
    callbacks.rate("down", comment.querySelector("input").value.trim());
    comment.hidden = true;
    buttons.bad.focus();
  });
  const followUps = part(".follow-ups");
  setText(followUps.querySelector("h3"), say("followUps"));
  let offered = "";

  return (next) => {
    turn = next;
    const ended = ENDED.has(turn.phase);
    const [isDone, isShared] = [turn.phase === "done", turn.question === ""];
    const isKnown = runOf(turn) !== "";
    buttons.again.hidden = isShared || !ended || isDone;
    setText(buttons.again, say(canReadOn(turn) ? "readOn" : turn.phase === "failed" ? "retry" : "again"));
    buttons.copy.hidden = !ended || turn.answer === "";
    buttons.redo.hidden = isShared || !isDone;
    buttons.edit.hidden = isShared || !ended;
    buttons.share.hidden = !brand.share || !isKnown || ["not_found", "expired"].includes(turn.problem?.code);
    for (const [name, rating] of [["good", "up"], ["bad", "down"]]) {
      buttons[name].hidden = !brand.feedback || !isKnown || !ended || turn.answer === "" || turn.isEarlier || turn.rating === "refused";
      buttons[name].setAttribute("aria-pressed", String(turn.rating === rating));
    }
    const key = isDone && !turn.isEarlier ? turn.followUps.join("\n") : "";
    followUps.hidden = key === "";
    if (key !== offered) {
      offered = key;
      followUps.querySelector("ul").replaceChildren(...(key === "" ? [] : turn.followUps.map((text) => newFollowUp(text, callbacks.ask))));
    }
  };
}

function newFollowUp(text, ask) {
  const [item, button] = ["li", "button"].map((tag) => document.createElement(tag));
  Object.assign(button, { type: "button", className: "sample", textContent: text, dir: "auto" });
  button.addEventListener("click", () => ask(text));
  item.append(button);
  return item;
}

async function copyAnswer(button, { answer, sources }, shown) {
  const list = citedSources({ answer, sources }).filter(({ isCited }) => isCited).map(({ source: { title, uri }, number }) => `[${number}] ${[title, uri].filter(Boolean).join(", ")}`);
  await showDone(button, copyText([answer, ...(list.length > 0 ? ["", ...list] : [])].join("\n"), plainMarkup(shown, list)));
}

/** The answer as another program's document takes it: no buttons, no links into this page. */
function plainMarkup(shown, list) {
  const copy = shown.cloneNode(true);
  for (const button of copy.querySelectorAll("button")) button.remove();
  for (const cite of copy.querySelectorAll(".cite")) cite.replaceWith(`[${cite.textContent}]`);
  copy.append(...list.map((line) => el("p", {}, line)));
  return new XMLSerializer().serializeToString(copy);
}

/** Say on a button that what it copied is copied, for a moment. */
export async function showDone(button, copying) {
  if (!(await copying)) return;
  const before = button.textContent;
  if (before === say("copied")) return;
  button.style.minWidth = `${button.getBoundingClientRect().width}px`; // the shorter word moves nothing
  setText(button, say("copied"));
  setTimeout(() => {
    setText(button, before);
    button.style.minWidth = "";
  }, SHOWN_MS);
}
