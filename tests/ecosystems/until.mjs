// What the suites of a page wait for, and what they read.
/** Wait until something holds; however slow the machine is, it has two minutes. */
export async function until(met) {
  for (const end = Date.now() + 120_000; Date.now() < end; ) {
    if (met()) return;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`never happened: ${met}`);
}

export const textOf = (message) => (message?.parts ?? []).filter(({ type }) => type === "text").map(({ text }) => text).join("");
