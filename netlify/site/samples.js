/**
 * What a first visitor is offered to ask: the brand's samples, or those of the documents where the
 * server has documents of its owner's.
 */
import { el } from "./elements.js";
import { brand } from "./say.js";

const PATIENCE_MS = 1_500; // a server that has to open its documents first may take longer

/** Draw them into `list`; `ask(text)` is called with the one that was chosen. */
export async function drawSamples(list, ask, headers) {
  const own = brand.samples === "documents" || brand.samples.length > 0 ? await fetchSamples(headers) : [];
  const samples = own.length > 0 || brand.samples === "documents" ? own : brand.samples;
  list.replaceChildren(...samples.map((sample) => {
    const text = globalThis.riverrun.say(sample);
    const button = el("button.sample", { type: "button", dir: "auto" }, text);
    button.addEventListener("click", () => ask(text));
    return el("li", {}, button);
  }));
}

async function fetchSamples(headers) {
  const address = new URL("sources/samples", new URL(brand.endpoint, location.href));
  const options = { headers, signal: AbortSignal.timeout(PATIENCE_MS) };
  try {
    const { samples } = await (await fetch(address, options)).json();
    return samples.filter((sample) => typeof sample === "string" && sample !== "").slice(0, 5);
  } catch {
    return []; // a server that knows no samples, asks for a key, or takes its time
  }
}
