/**
 * The quoted sentence at a citation, before one goes to its source: under the pointer, with the
 * keyboard's focus, and at the first touch. It lies above the page and moves nothing.
 */
import { el, setText } from "./elements.js";
import { say } from "./say.js";

const LEAVE_MS = 200; // to come from the number to the preview
const LONGEST = 300; // characters, where no sentence is quoted
const GAP = 6; // pixels to the number, and more to the window's edge

const title = el("strong", { dir: "auto" });
const quote = el("span", { dir: "auto" });
const box = el("div.preview", { id: "preview", popover: "manual", role: "tooltip" }, title, quote);
let shown = null; // the citation whose sentence is shown
let leaving = 0;

/** Show at `link` what `find()` gives: its source and the text before it. A touch goes on to it at the second. */
export function bindPreview(link, find, goOn) {
  const show = () => open(link, find());
  link.addEventListener("pointerenter", ({ pointerType }) => pointerType !== "touch" && show());
  link.addEventListener("pointerleave", ({ pointerType }) => pointerType !== "touch" && leave());
  link.addEventListener("focus", () => link.matches(":focus-visible") && show());
  link.addEventListener("blur", close);
  link.addEventListener("click", (click) => {
    click.preventDefault();
    if (click.pointerType === "touch" && shown !== link) return show();
    close();
    goOn();
  });
}

function open(link, { source, before }) {
  close();
  if (!box.isConnected) listen();
  shown = link;
  setText(title, source.title);
  setText(quote, chooseQuote(source, before));
  link.setAttribute("aria-describedby", box.id);
  box.showPopover();
  place();
}

function close() {
  clearTimeout(leaving);
  if (!shown) return;
  shown.removeAttribute("aria-describedby");
  shown = null;
  box.hidePopover();
}

function leave() {
  clearTimeout(leaving);
  leaving = setTimeout(close, LEAVE_MS);
}

function listen() {
  document.body.append(box);
  box.addEventListener("pointerenter", () => clearTimeout(leaving));
  box.addEventListener("pointerleave", leave);
  box.addEventListener("click", () => shown?.click());
  // Before the page's own: with a preview open, Escape closes that and stops no answer.
  addEventListener("keydown", (key) => {
    if (key.key !== "Escape" || !shown) return;
    key.preventDefault();
    key.stopPropagation();
    close();
  }, true);
  addEventListener("pointerdown", ({ target }) => !box.contains(target) && target !== shown && close(), true);
  for (const change of ["scroll", "resize"]) addEventListener(change, place, { capture: true, passive: true });
  // A block that is drawn again takes its numbers with it.
  addEventListener("pointermove", () => shown?.isConnected === false && close(), { passive: true });
}

/** Above the number, or below it where there is no room; gone where the number is out of sight. */
function place() {
  const at = shown?.getClientRects()[0];
  if (!at || at.bottom < 0 || at.top > innerHeight) return close();
  const { offsetWidth: width, offsetHeight: height } = box;
  const edge = innerWidth - width - 2 * GAP;
  const above = at.top - height - GAP;
  box.style.left = `${Math.max(2 * GAP, Math.min(at.left + (at.width - width) / 2, edge))}px`;
  box.style.top = `${above > GAP ? above : at.bottom + GAP}px`;
}

const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/** The quoted sentence of a source that is most like the words before its number. */
export function chooseQuote({ text, snippet, quotes }, before) {
  const whole = text || snippet;
  const said = new Set(wordsOf(before));
  let [best, most] = ["", -1];
  for (const [start, end] of quotes) {
    const words = wordsOf(whole.slice(start, end));
    const share = words.filter((word) => said.has(word)).length / Math.max(1, words.length);
    if (end <= whole.length && share > most) [best, most] = [whole.slice(start, end), share];
  }
  const begun = whole.length > LONGEST ? `${whole.slice(0, LONGEST).replace(/\s+\S*$/, "")} …` : whole;
  return best || begun || say("noPassage");
}
