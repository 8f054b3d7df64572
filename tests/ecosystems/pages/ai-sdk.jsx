// The page of docs/ai-sdk.webp: the lines of the manual in a component, and what it shows.
import { createRoot } from "react-dom/client";
/* the manual's imports */

const chatId = crypto.randomUUID();
let sent = false;

const Part = ({ part }) => {
  if (part.type === "text") return <p>{part.text}</p>;
  if (part.type.startsWith("source-")) return <cite>{part.title}</cite>;
  if (part.type === "data-status") return <ul><li className={part.data.status}>{part.data.description}</li></ul>;
  return null;
};

function Chat() {
  /* the manual's lines */
  const done = messages.length === 2 && messages[1].metadata?.finishReason;
  if (!sent) setTimeout(() => sendMessage({ text: window.question }));
  sent = true;
  if (done) document.title = "done";
  return messages.map((message) => (
    <div key={message.id} className={message.role === "user" ? "asked" : "said"}>
      {message.parts.map((part, index) => (message.role === "user" ? part.text : <Part key={index} part={part} />))}
    </div>
  ));
}
createRoot(document.querySelector("main section")).render(<Chat />);
