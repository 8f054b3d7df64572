// The page of docs/ag-ui.webp: the lines of the manual, and what an agent's subscriber is told.
import { createRoot } from "react-dom/client";
/* the manual's imports */

const root = createRoot(document.querySelector("main section"));
function show({ messages, state }) {
  const steps = Object.values(state?.steps ?? {});
  root.render(
    <>
      <div className="asked">{messages[0].content}</div>
      <div className="said">
        <ul>{steps.map((step) => <li key={step.step} className={step.status}>{step.description}</li>)}</ul>
        <p>{messages[1]?.content}</p>
        {state?.sources?.map((source) => <cite key={source.id}>{source.title}</cite>)}
      </div>
    </>,
  );
}
const watch = (agent) => agent.subscribe({ onMessagesChanged: show, onStateChanged: show });
/* the manual's lines */
if (result.answer) document.title = "done";
