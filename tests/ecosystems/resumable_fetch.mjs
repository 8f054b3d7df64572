// A `fetch` that reads a cut run on: the text of docs/ag-ui.md, which a test compares.
export function resumableFetch(fetch = globalThis.fetch, tries = 9) {
  return async (url, options) => {
    const response = await fetch(url, options);
    const run = response.headers.get("X-Run-Id");
    if (!response.ok || !run) return response;
    const { readable, writable } = new TransformStream();
    const copy = async (body, after = 0, left = tries) => {
      const [reader, writer, decoder] = [body.getReader(), writable.getWriter(), new TextDecoder()];
      let [kept, ended] = ["", false];
      try {
        for (let next; !(next = await reader.read()).done; ) {
          const blocks = (kept + decoder.decode(next.value, { stream: true })).split("\n\n");
          kept = blocks.pop();
          for (const block of blocks) {
            await writer.write(new TextEncoder().encode(`${block}\n\n`));
            after = Number(/^id: .*-(\d+)$/m.exec(block)?.[1] ?? after);
            ended ||= /"type":"RUN_(FINISHED|ERROR)"/.test(block);
          }
        }
      } catch {
        // The connection is gone; the run is not.
      }
      writer.releaseLock();
      if (ended || left === 0) return writable.close();
      await new Promise((done) => setTimeout(done, 300));
      const more = await fetch(`${url}/runs/${run}/events?after=${after}&resume=1`, { headers: options.headers });
      return copy(more.body, after, left - 1);
    };
    void copy(response.body).catch((problem) => writable.abort(problem));
    return new Response(readable, { status: response.status, headers: response.headers });
  };
}
