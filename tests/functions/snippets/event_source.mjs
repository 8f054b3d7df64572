// As much of the standard's EventSource as the clients here touch, for a Node that has none:
// unnamed and named events, ids, `retry`, reconnecting with Last-Event-ID, and giving up on
// anything but 200 with the right type (HTML standard, section 9.2).
export class EventSource {
  static requests = [];
  onopen = null;
  onmessage = null;
  onerror = null;
  readyState = 0;
  #abort = new AbortController();
  #lastEventId = "";
  #wait = 1000;

  constructor(url) {
    this.url = url;
    this.#run();
  }

  close() {
    this.readyState = 2;
    this.#abort.abort();
  }

  async #run() {
    while (this.readyState !== 2) {
      await this.#connect().catch(() => {});
      if (this.readyState === 2) return;
      this.readyState = 0;
      this.onerror?.({ type: "error" });
      await new Promise((resolve) => setTimeout(resolve, Math.min(this.#wait, 10)));
    }
  }

  async #connect() {
    const headers = { Accept: "text/event-stream", "Cache-Control": "no-store" };
    if (this.#lastEventId) headers["Last-Event-ID"] = this.#lastEventId;
    const response = await fetch(this.url, { headers, signal: this.#abort.signal });
    EventSource.requests.push([response.status, this.#lastEventId]);
    const type = (response.headers.get("Content-Type") ?? "").split(";")[0].trim();
    if (response.status !== 200 || type.toLowerCase() !== "text/event-stream") {
      this.readyState = 2;
      this.onerror?.({ type: "error" });
      return;
    }
    this.readyState = 1;
    this.onopen?.({ type: "open" });
    await this.#read(response.body.pipeThrough(new TextDecoderStream()));
  }

  async #read(text) {
    let rest = "";
    let block = {};
    for await (const piece of text) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") block = this.#dispatch(block);
        else this.#field(line, block);
        if (this.readyState === 2) return;
      }
    }
  }

  #field(line, block) {
    const [, name, value] = /^([^:]*):? ?(.*)$/u.exec(line);
    if (name === "data") block.data = "data" in block ? `${block.data}\n${value}` : value;
    else if (name === "id") this.#lastEventId = value;
    else if (name === "event") block.event = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#wait = Number(value);
  }

  #dispatch({ data, event }) {
    if (data !== undefined && !event) {
      this.onmessage?.({ data, lastEventId: this.#lastEventId });
    }
    return {};
  }
}
