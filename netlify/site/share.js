/**
 * The dialog that hands an answer on: its address, as text and as a picture for a camera.
 */
import { showDone } from "./actions.js";
import { copyText, setText } from "./elements.js";
import { say } from "./say.js";

const SVG = "http://www.w3.org/2000/svg";
const isLocal = ({ hostname }) => /^(localhost|127\.|\[::1\])/.test(hostname);

/** The address under which a page reads the run `id`; whether the conversation goes on there. */
export function shareAddress(id, goesOn = false) {
  return `${location.origin}${location.pathname}#run=${encodeURIComponent(id)}${goesOn ? "&go-on=1" : ""}`;
}

const named = (name) => new URLSearchParams(location.hash.slice(1)).get(name) ?? "";

/** The run that the address of this page names, or "". */
export const sharedRun = () => named("run");

/** Whether that address lets the conversation go on here. */
export const sharedGoesOn = () => named("go-on") !== "";

/** Show the dialog for the run `id`. `needsKey`: the server answers only with a key. */
export async function openShare(dialog, id, needsKey) {
  const field = dialog.querySelector("input");
  const [button, goesOn] = [".copy-address", ".go-on"].map((name) => dialog.querySelector(name));
  field.setAttribute("aria-label", say("shareTitle"));
  button.dataset.done = say("copied");
  button.onclick = () => showDone(button, copyText(field.value));
  const warning = [isLocal(location) ? say("shareLocal") : "", needsKey ? say("shareKey") : ""].filter(Boolean).join(" ");
  dialog.querySelector(".warning").hidden = warning === "";
  setText(dialog.querySelector(".warning"), warning);
  goesOn.checked = false;
  const show = () => {
    setText(dialog.querySelector(".lead"), say(goesOn.checked ? "shareLeadOn" : "shareLead"));
    field.value = shareAddress(id, goesOn.checked);
    field.scrollLeft = 0; // its beginning says where it leads
  };
  show();
  dialog.showModal();
  field.setSelectionRange(0, field.value.length, "backward");
  field.scrollLeft = 0;
  // Only who shares needs it.
  const { generate } = await import("./vendor/lean-qr.js");
  const draw = () => dialog.querySelector(".qr").replaceChildren(drawCode(generate(field.value)));
  goesOn.onchange = () => {
    show();
    draw();
  };
  draw();
}

/** A QR code as one path of unit squares, with the quiet zone of four that the standard wants. */
function drawCode(code) {
  const [svg, ground, path] = ["svg", "rect", "path"].map((name) => document.createElementNS(SVG, name));
  let squares = "";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) if (code.get(x, y)) squares += `M${x} ${y}h1v1h-1z`;
  }
  const whole = code.size + 8;
  svg.setAttribute("viewBox", `-4 -4 ${whole} ${whole}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", say("qr"));
  for (const [name, value] of Object.entries({ x: -4, y: -4, width: whole, height: whole, fill: "#fff" })) ground.setAttribute(name, value);
  path.setAttribute("d", squares);
  path.setAttribute("fill", "#000");
  svg.append(ground, path);
  return svg;
}
