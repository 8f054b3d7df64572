import { createElement as h } from "react";

import { useRiverrun } from "@riverrun/client/react";

export function App({ id }) {
  const { answer, isStreaming, start } = useRiverrun({ id });
  return h(
    "main",
    null,
    h("button", { id: "ask", onClick: () => start("What is there to see?") }, "Ask"),
    h("p", { id: "answer" }, isStreaming ? "…" : answer || "Nothing yet."),
  );
}
