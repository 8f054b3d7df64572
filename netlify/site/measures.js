/** The figures of the streams that this tab read, as a list. Numbers in, elements out. */
import { duration } from "./view.js";

const none = "–";
const time = (ms) => (ms === null ? none : duration(ms));

/** Show `report` (analytics.js) in the `details` element; hidden until there is a stream. */
export function drawMeasures(details, report) {
  const { totalStreams, successfulStreams, errorStreams, stoppedStreams } = report;
  const rows = [
    ["Answers", `${successfulStreams} of ${totalStreams}`],
    ["Failed, stopped", `${errorStreams}, ${stoppedStreams}`],
    ["Success", report.successRate === null ? none : `${Math.round(report.successRate * 100)} %`],
    ["First event, median", time(report.firstEvent.p50)],
    ["First words, median", time(report.firstToken.p50)],
    ["Whole answer, median", time(report.duration.p50)],
    ["Whole answer, 9 of 10", time(report.duration.p90)],
    ["Events for each", report.averageEvents === null ? none : report.averageEvents.toFixed(1)],
  ];
  details.hidden = totalStreams === 0;
  details.querySelector("dl").replaceChildren(
    ...rows.map(([name, value]) => {
      const [term, figure] = ["dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = name;
      figure.textContent = value;
      const row = document.createElement("div");
      row.append(term, figure);
      return row;
    }),
  );
}
