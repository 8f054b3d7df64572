/** The keys of the page; words.js lists them for its users. */

/** @param {{stop: Function, write: Function, begin: Function, copy: Function, help: Function}} actions */
export function bindShortcuts({ stop, write, begin, copy, help }) {
  document.addEventListener("keydown", (key) => {
    if (key.isComposing) return;
    const action = chooseAction(key);
    if (!action) return;
    key.preventDefault();
    action();
  });

  function chooseAction({ key, ctrlKey, metaKey, shiftKey, target }) {
    const isTyping = target.closest?.("input, textarea, select, [contenteditable]");
    const isOpen = document.querySelector("dialog[open], :popover-open");
    if (key === "Escape") return isOpen ? null : stop;
    if ((ctrlKey || metaKey) && shiftKey) return { O: begin, C: copy }[key.toUpperCase()];
    return isTyping || ctrlKey || metaKey ? null : { "/": write, "?": help }[key];
  }
}
