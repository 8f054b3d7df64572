/**
 * Where a question is written: it grows with its text, refuses what is too long without losing it,
 * and holds the questions that wait for the answer before them.
 */
import { el, setText } from "./elements.js";
import { say, words } from "./say.js";

const LIMIT = 8_000; // characters of a question (docs/contract.md)
const SHOWN_FROM = 7_500;

/** `ask(text)` is called with a question that may go out; `next` is what waits, in order. */
export function createComposer(form, { ask, isBusy }) {
  const part = (selector) => form.querySelector(selector);
  const [question, queue, warning] = ["#question", "#queue", "#too-long"].map(part);
  const waiting = [];
  const hasTouch = matchMedia("(hover: none) and (pointer: coarse)");

  const [asks, line, stops] = words.keys;
  part("#keys").append(...keyHints([["Enter", asks], ["Shift+Enter", line], ["Esc", stops]]));

  function fit() {
    question.style.height = "auto";
    question.style.height = `${question.scrollHeight}px`;
    const count = [...question.value.trim()].length;
    const isTooLong = count > LIMIT;
    setText(warning, isTooLong ? say("tooLong", count.toLocaleString(), LIMIT.toLocaleString()) : count > SHOWN_FROM ? `${count} / ${LIMIT}` : "");
    warning.classList.toggle("alarm", isTooLong);
    return !isTooLong;
  }

  function showQueue() {
    queue.hidden = waiting.length === 0;
    queue.replaceChildren(...waiting.map((text, at) => {
      const drop = el("button.quiet", { type: "button", ariaLabel: say("dropNext"), title: say("dropNext") }, "×");
      drop.addEventListener("click", () => {
        waiting.splice(at, 1);
        showQueue();
        question.focus();
      });
      return el("li", {}, el("span.soft", {}, `${say("next")}: `), el("span.text", { dir: "auto" }, text), drop);
    }));
  }

  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    const text = question.value.trim();
    if (text === "" || !fit()) return question.focus();
    question.value = "";
    fit();
    if (isBusy()) {
      waiting.push(text);
      showQueue();
    } else ask(text);
  });
  question.addEventListener("input", fit);
  question.addEventListener("keydown", (key) => {
    // Enter also confirms a word in an input method; on a phone there is no Shift to hold.
    if (key.key !== "Enter" || key.shiftKey || key.isComposing || hasTouch.matches) return;
    key.preventDefault();
    form.requestSubmit();
  });

  return {
    /** Ask what has waited longest, if anything has. */
    askNext() {
      if (waiting.length === 0 || isBusy()) return;
      const text = waiting.shift();
      showQueue();
      ask(text);
    },

    /** Put `text` where it can be changed; what stood there waits below it. */
    edit(text) {
      const before = question.value.trim();
      question.value = before === "" || before === text ? text : `${text}\n\n${before}`;
      fit();
      question.focus();
      question.setSelectionRange(text.length, text.length);
    },

    /** Take what waits out of the queue, for a conversation that is left. */
    clear() {
      waiting.length = 0;
      showQueue();
    },

    /** Say whether an answer is being written. */
    show(busy) {
      question.placeholder = say(busy ? "placeholderNext" : "placeholder");
    },

    focus: () => question.focus(),
  };
}

function keyHints(hints) {
  return hints.flatMap(([keys, does], at) => {
    const pressed = keys.split("+").flatMap((key, nth) => [nth > 0 ? "+" : "", el("kbd", {}, key)]);
    return [at > 0 ? el("span", { ariaHidden: "true" }, " · ") : "", ...pressed, ` ${does}`];
  });
}
