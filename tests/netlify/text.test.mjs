// Model text becomes blocks of plain data, and nothing of it is lost or becomes markup.
import assert from "node:assert/strict";
import { test } from "node:test";

import { readBlocks, readSpans, spokenText } from "../../netlify/site/text.js";

const text = (value) => ({ kind: "text", text: value });
const words = (spans) =>
  spans.map((span) => (span.kind === "strong" ? words(span.spans) : span.text)).join("");

test("blank lines part paragraphs, single line ends stay in them", () => {
  assert.deepEqual(readBlocks("a\nb\n\n\nc\r\nd"), [
    { kind: "paragraph", spans: [text("a\nb")] },
    { kind: "paragraph", spans: [text("c\nd")] },
  ]);
});

test("a numbered list keeps its numbers over blank lines and wrapped items", () => {
  const [list, after] = readBlocks("3. three\n\n4. four\n   goes on\n\nafter");
  assert.deepEqual(list, {
    kind: "list",
    ordered: true,
    start: 3,
    items: [[text("three")], [text("four\ngoes on")]],
  });
  assert.equal(after.kind, "paragraph");
});

test("a bullet list may start right under a sentence", () => {
  const blocks = readBlocks("Two things:\n- one\n* two\n1. another list");
  assert.deepEqual(blocks.map((block) => block.kind), ["paragraph", "list", "list"]);
  assert.equal(blocks[1].items.length, 2);
});

test("headings and code are blocks, and code stays as it was written", () => {
  assert.deepEqual(readBlocks("## Night\n```js\n**a** [1]\n\n  b\n```\nend"), [
    { kind: "heading", spans: [text("Night")] },
    { kind: "code", text: "**a** [1]\n\n  b" },
    { kind: "paragraph", spans: [text("end")] },
  ]);
});

test("code that has not ended yet is code already", () => {
  assert.deepEqual(readBlocks("```\nx = 1"), [{ kind: "code", text: "x = 1" }]);
});

test("bold, code and citations are spans, also inside each other", () => {
  assert.deepEqual(readSpans("a **b [2]** `c**` [1, 3]."), [
    text("a "),
    { kind: "strong", spans: [text("b "), { kind: "cite", numbers: [2], text: "[2]" }] },
    text(" "),
    { kind: "code", text: "c**" },
    text(" "),
    { kind: "cite", numbers: [1, 3], text: "[1, 3]" },
    text("."),
  ]);
});

test("what is not closed, or not ours, stays text", () => {
  for (const plain of ["**a", "`a", "[1", "[a]", "[]", "2 * 3 * 4", "** a **", "[x](http://y)", "snake_case_name"]) {
    assert.deepEqual(readSpans(plain), [text(plain)]);
  }
});

test("markup is text like any other", () => {
  const evil = '<script>alert(1)</script><img src=x onerror="alert(2)">';
  assert.deepEqual(readBlocks(evil), [{ kind: "paragraph", spans: [text(evil)] }]);
});

test("no piece of a line is lost, whatever marks it holds", () => {
  const marks = ["**", "*", "`", "[1]", "[", "]", " ", "a", "<b>", "1, 2"];
  let seed = 7;
  const next = (limit) => (seed = (seed * 48271) % 2147483647) % limit;
  for (let round = 0; round < 5_000; round += 1) {
    const line = Array.from({ length: 1 + next(12) }, () => marks[next(marks.length)]).join("");
    const kept = words(readSpans(line));
    assert.equal(kept.replace(/[*`]/g, ""), line.replace(/[*`]/g, ""), line);
  }
});

test("an answer of any shape is read in linear time", () => {
  for (const piece of ["**", "`", "[1,", "[1, ", "* ", "- ", "**a ", "# ", "\n ", "[1]", "```\n"]) {
    const long = piece.repeat(60_000 / piece.length);
    const started = performance.now();
    readBlocks(long);
    assert.ok(performance.now() - started < 1_000, JSON.stringify(piece));
  }
});

test("read aloud, an answer has no marks and no numbers in brackets", () => {
  assert.equal(spokenText("**Tokyo** is large [1].\n\n- `sushi` [2]\n- ramen"), "Tokyo is large.\nsushi \nramen");
});
