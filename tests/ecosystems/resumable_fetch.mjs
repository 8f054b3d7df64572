// A `fetch` that reads a cut run on: the text of docs/ag-ui.md, which a test compares.
export function resumableFetch(fetch = globalThis.fetch, tries = 9) {
  return async (url, options) => {
    const { headers, signal } = options;
    const first = await fetch(`${url}?resume=1`, options);
    const run = first.headers.get("X-Run-Id");
    if (!first.ok || !run) return first;
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    let [reader, decoder, kept] = [first.body.getReader(), new TextDecoder(), ""];
    const copy = async () => {
      for (let [after, left] = [0, tries]; ; ) {
        // A connection that breaks off is read like one that ends: the run says when it is over.
        const next = await reader.read().catch(() => ({ done: true }));
        if (!next.done) {
          const blocks = (kept + decoder.decode(next.value, { stream: true })).split("\n\n");
          kept = blocks.pop();
          for (const block of blocks) {
            await writer.write(new TextEncoder().encode(`${block}\n\n`));
            if (/"type":"RUN_(FINISHED|ERROR)"/.test(block)) return writer.close();
            [after, left] = [Number(/^id: .*-(\d+)$/m.exec(block)?.[1] ?? after), tries];
          }
          continue;
        }
        if (signal?.aborted || left-- === 0) throw new TypeError("The answer broke off and could not be read on.");
        await new Promise((done) => setTimeout(done, 300));
        const more = await fetch(`${url}/runs/${run}/events?after=${after}&resume=1`, { headers, signal }).catch(() => null);
        if (more?.status === 200) [reader, decoder, kept] = [more.body.getReader(), new TextDecoder(), ""];
      }
    };
    const leave = (problem) => Promise.allSettled([writer.abort(problem), reader.cancel()]);
    void copy().catch(leave);
    return new Response(readable, { status: first.status, headers: first.headers });
  };
}
