/** What a screen reader is told while an answer is written: steps, breaks and the end, no tokens. */
import { say } from "./say.js";
import { ENDED } from "./turn.js";
import { spokenEnd } from "./view.js";

/** Put into the live region what changed between two states of a turn. */
export function announce(region, before, after) {
  const news = [];
  for (const step of after.steps) {
    const old = before.steps.find((one) => one.number === step.number);
    if (step.state === "executing" && step.description !== old?.description) news.push(step.description);
  }
  if (after.link === "cut" && before.link !== "cut") news.push(say("interruptedSaid"));
  if (ENDED.has(after.phase) && !ENDED.has(before.phase)) news.push(spokenEnd(after));
  if (news.length > 0) region.textContent = news.join(" ");
}
