/**
 * Model text, cut into paragraphs, lists, headings and code. It returns plain data and knows no
 * DOM, so nothing a model writes can become an element: whoever draws the blocks makes the
 * elements, and the text inside them stays text.
 *
 * A small part of Markdown on purpose: no links, no images, no HTML.
 */

const FENCE = /^\s*```/;
const HEADING = /^\s{0,3}#{1,6}\s+(.*)$/;
const BULLET = /^\s*[-*•]\s+(.*)$/;
const NUMBER = /^\s*(\d{1,9})[.)]\s+(.*)$/;
const CONTINUED = /^\s{2,}(\S.*)$/;
const INLINE =
  /`([^`\n]+)`|\*\*(?=[^\s*])([^*\n]*[^\s*])\*\*|\[(\d{1,3}(?:\s?,\s?\d{1,3}){0,20})\]/g;

/**
 * The blocks of a text, in order:
 * `{kind: "paragraph" | "heading", spans}`, `{kind: "code", text}` and
 * `{kind: "list", ordered, start, items: [spans, ...]}`.
 *
 * Spans are `{kind: "text" | "strong" | "code" | "cite", ...}`; see `readSpans`.
 */
export function readBlocks(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  let open = null; // the paragraph, list or code block that takes the next line
  let gap = false; // a blank line came since

  for (const line of lines) {
    if (open?.kind === "code") {
      if (FENCE.test(line)) open = null;
      else open.lines.push(line);
      continue;
    }
    if (line.trim() === "") {
      gap = true;
      if (open?.kind !== "list") open = null;
      continue;
    }
    open = place(line, open, gap, blocks);
    gap = false;
  }
  return blocks.map(finish);
}

function place(line, open, gap, blocks) {
  const start = (block) => {
    blocks.push(block);
    return block;
  };
  if (FENCE.test(line)) return start({ kind: "code", lines: [] });

  const heading = HEADING.exec(line);
  if (heading) {
    start({ kind: "heading", lines: [heading[1]] });
    return null;
  }
  const bullet = BULLET.exec(line);
  const number = bullet ? null : NUMBER.exec(line);
  if (bullet || number) {
    const ordered = number !== null;
    const item = [ordered ? number[2] : bullet[1]];
    if (open?.kind === "list" && open.ordered === ordered) {
      open.items.push(item);
      return open;
    }
    return start({ kind: "list", ordered, start: ordered ? Number(number[1]) : 1, items: [item] });
  }
  const more = open?.kind === "list" ? CONTINUED.exec(line) : null;
  if (more && !gap) {
    open.items.at(-1).push(more[1]);
    return open;
  }
  if (open?.kind === "paragraph") {
    open.lines.push(line);
    return open;
  }
  return start({ kind: "paragraph", lines: [line] });
}

function finish(block) {
  if (block.kind === "code") return { kind: "code", text: block.lines.join("\n") };
  if (block.kind === "list") {
    const items = block.items.map((lines) => readSpans(lines.join("\n")));
    return { kind: "list", ordered: block.ordered, start: block.start, items };
  }
  return { kind: block.kind, spans: readSpans(block.lines.join("\n")) };
}

/**
 * The spans of a line or of several: `{kind: "text", text}`, `{kind: "code", text}`,
 * `{kind: "strong", spans}` and `{kind: "cite", numbers, text}`. What is not closed stays text.
 */
export function readSpans(text) {
  const spans = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > from) spans.push({ kind: "text", text: text.slice(from, match.index) });
    const [whole, code, strong, numbers] = match;
    if (code !== undefined) spans.push({ kind: "code", text: code });
    else if (strong !== undefined) spans.push({ kind: "strong", spans: readSpans(strong) });
    else spans.push({ kind: "cite", numbers: numbers.split(",").map(Number), text: whole });
    from = match.index + whole.length;
  }
  if (from < text.length) spans.push({ kind: "text", text: text.slice(from) });
  return spans;
}

/** The text as a person would read it aloud: no marks, no citation numbers. */
export function spokenText(text) {
  const say = (spans) =>
    spans.map((span) => (span.kind === "strong" ? say(span.spans) : span.kind === "cite" ? "" : span.text)).join("");
  return readBlocks(text)
    .map((block) => {
      if (block.kind === "code") return block.text;
      if (block.kind === "list") return block.items.map(say).join("\n");
      return say(block.spans);
    })
    .join("\n")
    .replace(/ +([.,;:!?])/g, "$1");
}
