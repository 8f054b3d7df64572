// The page of docs/assistant-ui.webp: the lines of the manual around assistant-ui's own parts.
import { AssistantRuntimeProvider, ComposerPrimitive, MessagePrimitive, ThreadPrimitive } from "@assistant-ui/react";
import { useEffect } from "react";
import { createRoot } from "react-dom/client";
/* the manual's imports */

const components = {
  Text: ({ text }) => <p>{text}</p>,
  Source: ({ title }) => <cite>{title}</cite>,
  data: { by_name: { status: ({ data }) => <ul><li className={data.status}>{data.description}</li></ul> } },
};
const Asked = () => <div className="asked"><MessagePrimitive.Parts /></div>;
const Said = () => <div className="said"><MessagePrimitive.Parts components={components} /></div>;

function Chat() {
  /* the manual's lines */
  useEffect(() => {
    runtime.thread.subscribe(() => {
      const { isRunning, messages } = runtime.thread.getState();
      if (!isRunning && messages.at(-1)?.metadata.custom.finishReason) document.title = "done";
    });
    runtime.thread.append(window.question);
  }, []);
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages components={{ UserMessage: Asked, AssistantMessage: Said }} />
        <ComposerPrimitive.Root>
          <ComposerPrimitive.Input placeholder="Ask on" />
          <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}
createRoot(document.querySelector("main section")).render(<Chat />);
