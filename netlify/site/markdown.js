/**
 * Model text into elements. Two well-kept libraries do it (marked reads Markdown, DOMPurify lets
 * through what is harmless), and this module says what that is: text, its structure, and links
 * that a person may choose to follow. No HTML of the model's own, no image, nothing that asks
 * another server anything by being shown.
 */
import { showDone } from "./actions.js";
import { copyText } from "./elements.js";
import { say } from "./say.js";
import { Marked } from "./vendor/marked.js";
import "./vendor/dompurify.js"; // its small build has no exports: it sets `DOMPurify`

const { DOMPurify } = globalThis;
const escaped = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
const isWeb = (href) => /^https?:\/\//i.test(href) && URL.canParse(href);

const marked = new Marked({
  gfm: true,
  breaks: true,
  tokenizer: {
    // HTML is text like any other, and is shown as what it is.
    html: () => undefined,
    tag: () => undefined,
    // `[1]: …` would turn the citations of an answer into links of the model's choice.
    def: () => undefined,
    reflink: () => undefined,
  },
  renderer: {
    link({ href, tokens, text }) {
      const said = this.parser.parseInline(tokens);
      if (!isWeb(href)) return `${said} (${escaped(href)})`;
      return `<a href="${escaped(href)}">${said}</a>${text === href ? "" : ` <span class="to">${escaped(new URL(href).host)}</span>`}`;
    },
    image: ({ href, text }) => `<span class="image">${escaped(text || "image")} (${escaped(href)})</span>`,
    heading({ tokens }) {
      return `<h3>${this.parser.parseInline(tokens)}</h3>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const HARMLESS = {
  ALLOWED_TAGS: [
    ...["p", "br", "hr", "h3", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li"],
    ...["a", "span", "table", "thead", "tbody", "tr", "th", "td"],
  ],
  ALLOWED_ATTR: ["href", "class", "start", "align"],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
  ADD_URI_SAFE_ATTR: ["start", "align"], // else it takes every value for an address
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** A text that broke off or still grows, without the marks that have only begun: `**a`, `[b](ht`. */
export function closeMarks(text) {
  if ((text.match(/^ {0,3}(```|~~~)/gm) ?? []).length % 2 === 1) return text; // code is as it is
  const begun = text.lastIndexOf("\n") + 1;
  let line = text.slice(begun);
  const isOpen = (mark) => line.replace(/`[^`]*`/g, "").split(mark).length % 2 === 0;
  const close = (mark) => (line.endsWith(mark) ? line.slice(0, -mark.length) : line.trimEnd() + mark);
  if (isOpen("`")) return text.slice(0, begun) + close("`");
  // A citation, a link, and half of a pair of asterisks.
  line = line.replace(/ ?\[[\d, ]*$/, "").replace(/\[([^\]]*)(?:\]\([^)\s]*)?$/, "$1").replace(/(^|[^*])\*$/, "$1");
  return text.slice(0, begun) + (isOpen("**") ? close("**") : line);
}

/**
 * The blocks of a text, in order: `key` is equal where the block is, `draw()` makes its element.
 * So a page draws again only what changed while an answer is written.
 */
export function readBlocks(text) {
  let tokens;
  try {
    tokens = marked.lexer(text);
  } catch {
    return [{ key: text, draw: () => drawPlain(text) }]; // nested too deep to be read
  }
  return tokens
    .filter(({ type }) => type !== "space")
    .map((token) => ({ key: token.raw, draw: () => drawSafely(token) }));
}

/** A block that the libraries cannot draw is shown as the text it is, never lost. */
function drawSafely(token) {
  try {
    return drawBlock(token);
  } catch {
    return drawPlain(token.raw);
  }
}

const RTL_FIRST = /^\P{L}*[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

function drawPlain(text) {
  const block = document.createElement("p");
  Object.assign(block, { className: "plain", dir: "auto", textContent: text });
  return block;
}

function drawBlock(token) {
  const fragment = DOMPurify.sanitize(marked.parser([token]), HARMLESS);
  for (const block of fragment.querySelectorAll("p, h3, li, blockquote, th, td")) block.dir = "auto";
  // `auto` would pass over items with a direction of their own, and leave their marks in the margin.
  for (const list of fragment.querySelectorAll("ul, ol")) list.dir = RTL_FIRST.test(list.textContent) ? "rtl" : "ltr";
  for (const link of fragment.querySelectorAll("a")) {
    Object.assign(link, { target: "_blank", rel: "noopener noreferrer nofollow" });
  }
  for (const code of fragment.querySelectorAll("pre")) code.replaceWith(frameCode(code.cloneNode(true)));
  for (const table of fragment.querySelectorAll("table")) {
    const frame = document.createElement("div");
    frame.className = "wide";
    frame.tabIndex = 0;
    table.replaceWith(frame);
    frame.append(table);
  }
  if (fragment.childElementCount === 1 && fragment.childNodes.length <= 2) return fragment.firstElementChild;
  const block = document.createElement("p");
  block.append(fragment);
  return block;
}

/** Code in a frame that scrolls, with a button that copies it. */
function frameCode(code) {
  const [frame, button] = ["div", "button"].map((tag) => document.createElement(tag));
  Object.assign(button, { type: "button", className: "quiet copy-code", textContent: say("copyCode") });
  button.addEventListener("click", () => showDone(button, copyText(code.textContent)));
  code.tabIndex = 0;
  code.dir = "ltr";
  frame.className = "code";
  frame.append(code, button);
  return frame;
}

const CITATION = /\[(\d{1,3}(?:\s?,\s?\d{1,3}){0,20})\]/g;

/**
 * Put what `draw(numbers)` gives in the place of each citation (`[1]`, `[1, 2]`) in a block;
 * `null` leaves it the text it is. Code and links are left alone.
 */
export function drawCitations(block, draw) {
  const texts = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (texts.nextNode()) nodes.push(texts.currentNode);
  for (const node of nodes) {
    if (node.parentElement.closest("code, a")) continue;
    const parts = [];
    let from = 0;
    for (const found of node.data.matchAll(CITATION)) {
      const drawn = draw(found[1].split(",").map(Number));
      if (drawn === null) continue;
      // A citation stays with the word before it.
      parts.push(node.data.slice(from, found.index).replace(/ $/, "\u202f"), ...drawn);
      from = found.index + found[0].length;
    }
    if (from > 0) node.replaceWith(...parts, node.data.slice(from));
  }
}

function readAloud(block) {
  for (const button of block.querySelectorAll("button")) button.remove();
  return block.textContent;
}

/** The text as a person would read it aloud: no marks, no citation numbers. */
export function spokenText(text) {
  return readBlocks(text)
    .map(({ draw }) => readAloud(draw()))
    .join("\n")
    .replace(CITATION, "")
    .replace(/ +([.,;:!?])/g, "$1")
    .replace(/\n{2,}/g, "\n")
    .trim();
}
