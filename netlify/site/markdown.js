/**
 * Model text into elements. Two well-kept libraries do it (marked reads Markdown, DOMPurify lets
 * through what is harmless), and this module says what that is: text, its structure, and links
 * that a person may choose to follow. No HTML of the model's own, no image, nothing that asks
 * another server anything by being shown.
 */
import { Marked } from "./vendor/marked.js";
import createDOMPurify from "./vendor/dompurify.js";

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

/**
 * The blocks of a text, in order: `key` is equal where the block is, `draw()` makes its element.
 * So a page draws again only what changed while an answer is written.
 */
export function readBlocks(text) {
  const lists = marked.lexer(text);
  return lists
    .filter(({ type }) => type !== "space")
    .map((token) => ({ key: token.raw, draw: () => drawBlock(token) }));
}

function drawBlock(token) {
  const fragment = createDOMPurify.sanitize(marked.parser([token]), HARMLESS);
  for (const link of fragment.querySelectorAll("a")) {
    Object.assign(link, { target: "_blank", rel: "noopener noreferrer nofollow" });
  }
  for (const scrolled of fragment.querySelectorAll("pre")) scrolled.tabIndex = 0;
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

/** The text as a person would read it aloud: no marks, no citation numbers. */
export function spokenText(text) {
  return readBlocks(text)
    .map(({ draw }) => draw().textContent)
    .join("\n")
    .replace(CITATION, "")
    .replace(/ +([.,;:!?])/g, "$1")
    .replace(/\n{2,}/g, "\n")
    .trim();
}
