/** The figures of the streams that this tab read, as a list. Numbers in, elements out. */
import { duration } from "./elements.js";
import { brand, words } from "./say.js";

const none = "–";
const percent = (part) => (part === null ? none : `${Math.round(part * 100)} %`);
const time = (ms) => (ms === null ? none : duration(ms));

const row = (name, value) => {
  const [term, figure] = ["dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name;
  figure.textContent = value;
  const pair = document.createElement("div");
  pair.append(term, figure);
  return pair;
};

/** Ask what answers, the first time that it is looked at; a server that says nothing has no row. */
let host = null;
async function askHost(list) {
  host ??= fetch(brand.endpoint.replace(/[^/]*$/, "health"))
    .then((answer) => answer.json())
    .then((health) => words.hosts[health.host] ?? null)
    .catch(() => null);
  const name = await host;
  if (name && !list.querySelector(".host")) {
    const last = row(words.figures.host, name);
    last.className = "host";
    list.append(last);
  }
}

/** Show `report` (analytics.js) in the `details` element; hidden until there is a stream. */
export function drawMeasures(details, report, estimateError) {
  const { totalStreams, successfulStreams, errorStreams, stoppedStreams } = report;
  const { figures } = words;
  const rows = [
    [figures.answers, figures.of(successfulStreams, totalStreams)],
    [figures.failed, `${errorStreams}, ${stoppedStreams}`],
    [figures.success, percent(report.successRate)],
    [figures.firstEvent, time(report.firstEvent.p50)],
    [figures.firstWords, time(report.firstToken.p50)],
    [figures.whole, time(report.duration.p50)],
    [figures.slow, time(report.duration.p90)],
    [figures.events, report.averageEvents === null ? none : report.averageEvents.toFixed(1)],
    [figures.estimate, percent(estimateError)],
  ];
  details.hidden = totalStreams === 0;
  const list = details.querySelector("dl");
  list.replaceChildren(...rows.map(([name, value]) => row(name, value)));
  details.ontoggle = () => details.open && askHost(list);
  details.ontoggle();
}
