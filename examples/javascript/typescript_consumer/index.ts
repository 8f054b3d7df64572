// An application that knows the library by its declarations alone.
import { ask, describe, isOver, policy, tokens, useAnswer } from "../typescript_library/dist/index.js";

export async function main(): Promise<string> {
  const run = ask("What is there to see?", { onRetry: ({ waitMs }) => console.log(waitMs, policy.maxRetries) });
  const words: string[] = [];
  for await (const word of tokens(run)) words.push(word);
  for await (const event of ask("And then?")) words.push(describe(event));
  const { answer, error, isStopping } = useAnswer("main");
  const accepted: boolean = await run.stop();
  // @ts-expect-error -- an answer is a string
  const wrong: number = answer;
  return `${words} ${accepted} ${isStopping} ${error && isOver(error)} ${wrong}`;
}
