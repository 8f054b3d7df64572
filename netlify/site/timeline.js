/**
 * A picture of one stream: its steps as bars, its events as ticks along the time they came, its
 * interruptions as gaps. Numbers in, SVG out.
 */

import { duration } from "./elements.js";
import { words } from "./say.js";

const WIDTH = 600;
const ROW = 14;
const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, title = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  if (title !== "") node.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: title }));
  return node;
}

/** Draw the timeline of `turn` into an `svg` element. `now` closes what has not ended. */
export function drawTimeline(svg, turn, now) {
  const { bar, tick } = words.pictureSaid;
  const total = Math.max(1, (turn.endedAt ?? now) - turn.askedAt);
  const x = (at) => Math.min(WIDTH, (Math.max(0, at) / total) * WIDTH).toFixed(1);
  const rows = turn.steps.length + 1;
  const height = rows * ROW + 4;
  const parts = turn.steps.map((step, row) => {
    const from = step.seenAt - turn.askedAt;
    const to = step.ms === null ? total : Math.min(total, from + step.ms);
    const width = Math.max(3, x(to) - x(from));
    const box = { class: `bar ${step.state}`, x: Math.min(x(from), WIDTH - 3), y: row * ROW + 3, width, height: ROW - 6, rx: 3 };
    return shape("rect", box, bar(step.description, duration(from), duration(to)));
  });
  const base = (rows - 1) * ROW + 2;
  parts.push(shape("line", { class: "axis", x1: 0, x2: WIDTH, y1: base + ROW / 2, y2: base + ROW / 2 }));
  for (const { at, type } of turn.timeline) {
    const box = { class: `tick ${type}`, x: x(at) - 0.75, y: base, width: type === "token" ? 1 : 2, height: ROW - 2 };
    parts.push(shape("rect", box, tick(type, duration(at))));
  }
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  svg.replaceChildren(...parts);
}

/** What the picture shows, in words. */
export function describeTimeline(turn) {
  const { events, first, words: from, cuts } = words.pictureSaid;
  const count = (type) => turn.timeline.filter((event) => event.type === type).length;
  const [begin] = turn.timeline;
  const token = turn.timeline.find(({ type }) => type === "token");
  return [
    events(turn.events),
    begin ? first(duration(begin.at)) : "",
    token ? from(duration(token.at)) : "",
    cuts(count("cut")),
  ].filter(Boolean).join(", ");
}
