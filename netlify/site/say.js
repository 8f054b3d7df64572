/** The words of the interface in the language of the page (words.js), by name. */
export const { brand, words, language } = globalThis.riverrun;

/** The word `name`; one that takes values is called with them. */
export const say = (name, ...values) => (values.length > 0 ? words[name](...values) : words[name]);
