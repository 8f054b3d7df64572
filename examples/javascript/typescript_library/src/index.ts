// A library over the client. Its declarations name the client's types: all of them are exported.
import { RETRY_POLICY, RiverrunError, join, stream } from "@riverrun/client";
import type { ChatResponse, RunEvent, Stream, StreamOptions } from "@riverrun/client";
import { createAnalytics } from "@riverrun/client/analytics";
import { eventSourceTransport } from "@riverrun/client/eventsource";
import { forget, useRiverrun } from "@riverrun/client/react";
import { createParser } from "@riverrun/client/sse";

// Inferred types, which the compiler has to write down.
export const ask = (question: string, options: StreamOptions = {}) => stream(question, options);
export const readOn = (run: string, after: number) => join(run, { after });
export const policy = { ...RETRY_POLICY, silence: 10_000 };
export const analytics = createAnalytics();
export const parse = (text: string) => createParser().feed(text);
export const useAnswer = (id: string) => useRiverrun({ id, headers: () => ({ Authorization: "Bearer x" }) });
export const signOut = forget;
export const withoutFetch: StreamOptions = { transport: eventSourceTransport };

export async function* tokens(run: Stream): AsyncGenerator<string, ChatResponse> {
  for await (const event of run) if (event.type === "token") yield event.text;
  return run.result;
}

export function describe(event: RunEvent): string {
  switch (event.type) {
    case "status":
      return event.status.description;
    case "final":
      return `${event.result.finishReason} ${event.result.grounding?.unmatched[0]?.reason ?? ""}`;
    default:
      return event.type;
  }
}

export const isOver = (error: unknown): error is RiverrunError => error instanceof RiverrunError && !error.retryable;
