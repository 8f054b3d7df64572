/*
 * The chosen theme, applied before the first paint. A classic script, because a module would run
 * after it. Without a choice the system's preference decides, in CSS.
 */
(() => {
  try {
    const chosen = localStorage.getItem("riverrun-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's preference still works.
  }
})();
