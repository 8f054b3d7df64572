/** The questions that the brand offers to a first visitor. */
import { el } from "./elements.js";
import { brand } from "./say.js";

export function drawSamples(list, ask) {
  list.replaceChildren(...brand.samples.map((sample) => {
    const text = globalThis.riverrun.say(sample);
    const button = el("button.sample", { type: "button" }, text);
    button.addEventListener("click", () => ask(text));
    return el("li", {}, button);
  }));
}
