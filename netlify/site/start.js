/*
 * Before the first paint: the theme, the language and the brand. A classic script, because a module
 * runs after it, and the page would flash in another colour or another language.
 */
(() => {
  const root = document.documentElement;
  const brand = globalThis.riverrunBrand;
  const words = globalThis.riverrunWords;
  const asked = new URLSearchParams(location.search);
  const stored = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage may be forbidden; the system's preference still works
    }
  };

  const theme = asked.get("theme") ?? stored("riverrun-theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  if (asked.has("embed")) root.dataset.embedded = "";
  // A path on this server and nothing else: an address in a link must not send keys elsewhere.
  const endpoint = asked.get("endpoint") ?? "";
  if (/^\/[\w.\/-]*$/.test(endpoint) && !endpoint.startsWith("//")) brand.endpoint = endpoint;
  if ((stored("riverrun-details") ?? String(brand.details)) === "true") root.dataset.details = "";

  const wanted = [asked.get("lang"), stored("riverrun-language"), brand.language, ...navigator.languages, "en"];
  const language = wanted.map((name) => String(name ?? "").slice(0, 2).toLowerCase()).find((name) => Object.hasOwn(words, name));
  root.lang = language;
  if (brand.mark === false) root.dataset.unmarked = "";
  for (const [name, colour] of Object.entries(brand.colours)) {
    // Style sheets named before this script are there when it runs.
    if (getComputedStyle(root).getPropertyValue(`--${name}`) === "") console.warn(`brand.js: there is no colour "${name}". docs/page.md names them all.`);
    const { light = colour, dark = light } = Object(colour);
    root.style.setProperty(`--${name}`, `light-dark(${light}, ${dark})`);
  }

  /** A text of the brand in the language of the page. */
  const say = (text) => (typeof text === "string" ? text : (text?.[language] ?? text?.en ?? ""));
  globalThis.riverrun = { brand, words: words[language], say, language };

  // Each text stands in one place: where the page says `data-word`, the word of that name is put.
  document.addEventListener("readystatechange", fill, { once: true });
  function fill() {
    document.title = say(brand.name);
    for (const node of document.querySelectorAll("[data-brand]")) node.textContent = say(brand[node.dataset.brand]);
    for (const node of document.querySelectorAll("[data-word]")) node.textContent = words[language][node.dataset.word];
    for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words[language][node.dataset.label]);
  }
  globalThis.riverrun.fill = fill;
})();
