import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

import { useRiverrun } from "@riverrun/client/react";

const KEPT = "the run that is shown";

/** Asks, stops, asks again; after a reload it shows the run that was shown. */
function Question() {
  const { query, runId, isStreaming, isStopping, start, stop, resume } = useRiverrun({ id: "main" });
  useEffect(() => {
    const kept = sessionStorage.getItem(KEPT);
    if (kept) resume(kept);
  }, [resume]);
  useEffect(() => {
    if (runId) sessionStorage.setItem(KEPT, runId);
  }, [runId]);
  const askAgain = () => {
    void stop();
    start(query);
  };
  return (
    <p>
      <button id="ask" onClick={() => start("What is there to see?")}>Ask</button>
      <button id="again" onClick={askAgain}>Ask again</button>
      <button id="stop" disabled={!isStreaming || isStopping} onClick={() => stop()}>Stop</button>
    </p>
  );
}

/** Shows the same answer, with an ordinary effect on it. */
function Answer() {
  const { answer, isStreaming, error } = useRiverrun({ id: "main" });
  const [length, setLength] = useState(0);
  useEffect(() => setLength(answer.length), [answer]);
  const state = isStreaming ? "streaming" : (error?.code ?? "quiet");
  return <p id="answer" data-state={state} data-length={length}>{answer}</p>;
}

/** An answer of its own, asked by an effect and stopped by its clean-up. */
function Greeting() {
  const { answer, error, start, stop } = useRiverrun();
  useEffect(() => {
    start("Hello?");
    return () => void stop();
  }, [start, stop]);
  return <p id="greeting">{error ? error.code : answer}</p>;
}

function App() {
  const [greets, setGreets] = useState(location.hash === "#greet");
  return (
    <>
      <Question />
      <Answer />
      <button id="leave" onClick={() => setGreets(false)}>No greeting</button>
      {greets && <Greeting />}
    </>
  );
}

createRoot(document.querySelector("#root")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
