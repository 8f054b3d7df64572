/** The button that changes between light and dark. start.js applies the choice of the last visit. */
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

export function createThemeButton(button) {
  function show() {
    button.setAttribute("aria-pressed", String(isDark()));
    if (!root.dataset.theme) return; // the two meta elements follow the system by themselves
    for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
      meta.content = getComputedStyle(document.body).backgroundColor;
    }
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("riverrun-theme", root.dataset.theme);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
    show();
  });
  dark.addEventListener("change", show);
  show();
}
