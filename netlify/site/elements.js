/** What every part of the page makes elements with, and says times with. */

/** An element with properties, classes after dots, and children that are elements or text. */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  node.classList.add(...classes);
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

/** Text for screen readers alone. */
export const hidden = (text) => el("span.visually-hidden", {}, text);

/** Change a text only where it differs, so that selections and live regions are left alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Milliseconds as a person says them: `84 ms`, `1.3 s`, `40 s`, `2 min 5 s`. */
export function duration(ms) {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Put a text on the clipboard, as `html` too where that is given; false where it is forbidden. */
export async function copyText(text, html = "") {
  try {
    const blob = (type, data) => ({ [type]: new Blob([data], { type }) });
    if (html === "" || !globalThis.ClipboardItem) await navigator.clipboard.writeText(text);
    else await navigator.clipboard.write([new ClipboardItem({ ...blob("text/plain", text), ...blob("text/html", html) })]);
    return true;
  } catch {
    // A page that is not on a secure origin has no clipboard but this one.
    const area = el("textarea", { value: text, readOnly: true });
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
