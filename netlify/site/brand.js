/*
 * The brand: everything that makes this page yours stands in this file, and nowhere else.
 * A classic script, so that it is there before the first paint. docs/page.md explains each line.
 *
 * Where a text differs by language it is an object of languages; a plain string serves all.
 */
globalThis.riverrunBrand = {
  name: "Riverrun",
  greeting: {
    en: "Ask, and watch the answer\u00a0arrive.",
    de: "Fragen, und zusehen, wie die Antwort\u00a0entsteht.",
    es: "Pregunta y mira cómo llega la\u00a0respuesta.",
  },
  lead: {
    en: "Every step is shown as it happens, every claim with the passage it stands on.",
    de: "Jeder Schritt ist zu sehen, jede Aussage mit der Stelle, auf der sie beruht.",
    es: "Cada paso se ve mientras ocurre, cada afirmación con el pasaje que la sostiene.",
  },
  // Asked as they stand. Over documents of your own the page offers some of their headings instead;
  // "documents" shows those alone, an empty list none.
  samples: [
    "What are the best restaurants in Tokyo?",
    "What are the best attractions in Paris?",
    "Plan a trip to Japan",
  ],
  // "auto" follows the browser; else one of the languages in words.js.
  language: "auto",
  // paper, ink, water and the others that docs/page.md names, as one colour or as { light, dark }.
  colours: {},
  mark: true, // the wave beside the name
  // Where questions go, and what of the machinery a visitor sees at first (each has a switch).
  endpoint: "/api/chat",
  details: false,
  feedback: true, // thumbs and a word, kept with the run: `make runs` lists them
  share: true,
};
