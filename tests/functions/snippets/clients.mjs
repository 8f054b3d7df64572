// The clients that the product's users already have, transcribed behaviour by behaviour, faults
// included: they must work as they are. What each does is said above it.

// POSTs the question and reads the body chunk by chunk. A status that is not 2xx is an error.
// Each chunk is decoded by itself and cut at LF by itself, so an event that comes in two chunks
// is lost. Only lines that begin with "data: " count. Ends at the first final or error event;
// whatever a callback throws is taken for a line that did not parse.
export async function askByFetch(address, query, heard) {
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query, streaming: true }),
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const chunks = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) return;
      for (const line of decoder.decode(value).split("\n")) {
        if (line.startsWith("data: ") && tell(line.slice("data: ".length), heard)) return;
      }
    }
  } catch (error) {
    heard.error(error);
  }
}

function tell(json, heard) {
  try {
    const event = JSON.parse(json);
    if (event.type === "status") heard.status(event.status);
    else if (event.type === "final") heard.final(event.result);
    else if (event.type === "error") heard.error(new Error(event.error));
    return event.type === "final" || event.type === "error";
  } catch (error) {
    heard.lost?.(error);
    return false;
  }
}

// Opens an EventSource on the query and listens to unnamed events only. Closes at final, error
// and any trouble of the connection, so it never reconnects.
export function askByEventSource(EventSource, address, query, heard) {
  const source = new EventSource(`${address}?query=${encodeURIComponent(query)}&streaming=true`);
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "status") heard.status(event.status);
    if (event.type === "final") {
      heard.final(event.result);
      source.close();
    }
    if (event.type === "error") {
      heard.error(event.error);
      source.close();
    }
  };
  source.onerror = () => {
    heard.trouble?.();
    source.close();
  };
  return source;
}

// Asks up to `attempts` times, waiting 2, 4, 8 … seconds in between. Its error callback throws,
// which ends an attempt that failed before the stream began; in the stream that throw is taken
// for a line that did not parse, and the attempt counts as a success.
export async function askWithRetries(address, query, heard, attempts, sleep) {
  for (let attempt = 1; ; attempt++) {
    heard.attempt();
    try {
      await askByFetch(address, query, {
        ...heard,
        error(error) {
          heard.error(error);
          throw error;
        },
      });
      return;
    } catch (error) {
      if (attempt >= attempts) throw error;
      await sleep(2 ** attempt * 1000);
    }
  }
}

// Counts streams, their ends, their status events and the mean time of those that worked.
export class Analytics {
  totals = { streams: 0, successes: 0, errors: 0, events: 0, meanDuration: 0 };

  track(address, query) {
    const began = Date.now();
    const totals = this.totals;
    totals.streams++;
    return askByFetch(address, query, {
      status: () => totals.events++,
      final() {
        totals.successes++;
        const others = totals.meanDuration * (totals.successes - 1);
        totals.meanDuration = (others + Date.now() - began) / totals.successes;
      },
      error: () => totals.errors++,
    });
  }

  report() {
    const { streams, successes, events } = this.totals;
    return {
      ...this.totals,
      successRate: `${((successes / streams) * 100).toFixed(2)}%`,
      averageEvents: (events / streams).toFixed(2),
    };
  }
}

// A React hook over the fetch client: clears its state, shows the latest status, and is no
// longer streaming once a result or an error came.
export function useChat({ useState }, address) {
  const [status, setStatus] = useState(null);
  const [result, setResult] = useState(null);
  const [error, setError] = useState(null);
  const [streaming, setStreaming] = useState(false);
  const start = async (query) => {
    setStreaming(true);
    for (const clear of [setError, setResult, setStatus]) clear(null);
    await askByFetch(address, query, {
      status: setStatus,
      final(answer) {
        setResult(answer);
        setStreaming(false);
      },
      error(problem) {
        setError(problem.message);
        setStreaming(false);
      },
    });
  };
  return { start, status, result, error, streaming };
}
