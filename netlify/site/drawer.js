/** The drawer: the conversations of this browser, and the few settings of the page. */
import { el, setText } from "./elements.js";
import { language, say, words } from "./say.js";

const UNDO_MS = 10_000;
const MANY = 6; // conversations; of more one is looked for

/**
 * Fill the drawer once and bring its list up to date with the function that comes back.
 * `callbacks`: `choose(id)`, `rename(id, title)`, `remove(id)` which returns its undoing.
 */
export function createDrawer(drawer, conversations, callbacks) {
  const part = (selector) => drawer.querySelector(selector);
  const [list, undo, find] = [part("#list"), part("#undo"), part("#find")];
  let undoing = 0;

  function render() {
    const count = conversations.list().length;
    find.hidden = count <= MANY;
    const all = conversations.find(find.hidden ? "" : find.value);
    part("#list-empty").hidden = all.length > 0;
    setText(part("#list-empty"), say(count === 0 ? "none" : "noneFound"));
    list.replaceChildren(...all.map(newRow));
  }

  function newRow({ id, title, changedAt }) {
    const choose = el("button.choose", { type: "button", dir: "auto" }, el("span", {}, title || "…"), el("time", {}, when(changedAt)));
    if (id === conversations.open.id) choose.setAttribute("aria-current", "true");
    choose.addEventListener("click", () => {
      drawer.hidePopover();
      callbacks.choose(id);
    });
    const rename = el("button.quiet", { type: "button" }, say("rename"));
    rename.setAttribute("aria-label", `${say("rename")}: ${title}`);
    rename.addEventListener("click", () => row.replaceChildren(newField(id, title)));
    const remove = el("button.quiet", { type: "button" }, say("remove"));
    remove.setAttribute("aria-label", `${say("remove")}: ${title}`);
    remove.addEventListener("click", () => offerUndo(title, callbacks.remove(id)));
    const row = el("li", {}, choose, rename, remove);
    return row;
  }

  function newField(id, title) {
    const field = el("input", { type: "text", value: title, maxLength: 80, dir: "auto" });
    field.setAttribute("aria-label", say("rename"));
    const form = el("form", {}, field);
    let isOver = false;
    const end = (isKept) => {
      if (isOver) return;
      isOver = true;
      if (isKept && field.value.trim() !== "") callbacks.rename(id, field.value.trim());
      render();
    };
    form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      end(true);
    });
    field.addEventListener("blur", () => end(true));
    field.addEventListener("keydown", (key) => {
      if (key.key !== "Escape") return;
      key.preventDefault();
      key.stopPropagation();
      end(false);
    });
    queueMicrotask(() => field.select());
    return form;
  }

  function offerUndo(title, restore) {
    const button = el("button.quiet", { type: "button" }, say("undo"));
    const hide = () => (undo.hidden = true);
    clearTimeout(undoing);
    undoing = setTimeout(hide, UNDO_MS);
    button.addEventListener("click", () => {
      clearTimeout(undoing);
      hide();
      restore();
      render();
      list.querySelector("button")?.focus();
    });
    undo.hidden = false;
    undo.replaceChildren(say("removed", title), " ", button);
    render();
    button.focus();
  }

  find.placeholder = say("find");
  find.addEventListener("input", render);
  drawer.addEventListener("beforetoggle", ({ newState }) => {
    if (newState !== "open") return;
    find.value = "";
    render();
  });
  drawSettings(part);
  return render;
}

function drawSettings(part) {
  const details = part("#details");
  const root = document.documentElement;
  details.checked = root.dataset.details !== undefined;
  details.addEventListener("change", () => {
    keep("riverrun-details", String(details.checked));
    if (details.checked) root.dataset.details = "";
    else delete root.dataset.details;
  });
  const languages = Object.entries(globalThis.riverrunWords);
  part("#language").append(...languages.map(([code, { language: name }]) => el("option", { value: code, lang: code }, name)));
  part("#language").value = language;
  part("#language").addEventListener("change", ({ target }) => {
    keep("riverrun-language", target.value);
    location.reload(); // an answer that is being written is read on
  });
  const shortcuts = words.shortcutList.flatMap(([keys, does]) => [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, does)]);
  part("#shortcuts").replaceChildren(...shortcuts);
}

function when(at) {
  const date = new Date(at);
  const isDay = (ago) => date.toDateString() === new Date(Date.now() - ago * 86_400_000).toDateString();
  const time = new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(date);
  if (isDay(0)) return time;
  if (isDay(1)) return `${new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-1, "day")}, ${time}`;
  return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(date);
}

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}
