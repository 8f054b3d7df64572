// Read the figures that are new every two seconds, and show what the last thousand lines say.
const GOOD = new Set(["stop", "length", "paused", "cancelled"]);
const KEPT = 1000;
const SHOWN = 60;
const NS = "http://www.w3.org/2000/svg";

let rows = [];
let count = 0;

const at = (id) => document.getElementById(id);
const say = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits: 4, minimumFractionDigits: 2 });

function time(ms) {
  if (ms === undefined) return "–";
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : ms >= 10 ? `${whole.format(ms)} ms` : `${ms.toFixed(1)} ms`;
}

function values(name) {
  return rows.map((row) => row.values[name]).filter((value) => value !== undefined);
}

function sum(list) {
  return list.reduce((total, value) => total + value, 0);
}

function quantile(list, part) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

function countBy(name, dimension) {
  const counted = new Map();
  for (const row of rows) {
    const value = row.values[name];
    const key = row.by[dimension];
    if (value && key) counted.set(key, (counted.get(key) ?? 0) + value);
  }
  return [...counted].sort((a, b) => b[1] - a[1]);
}

function drawBars(id, counted, isGood = () => false) {
  const most = Math.max(1, ...counted.map(([, number]) => number));
  at(id).replaceChildren(...counted.slice(0, 6).flatMap(([name, number]) => {
    const label = document.createElement("span");
    label.className = "name";
    label.textContent = name;
    const bar = document.createElement("meter");
    bar.max = most;
    bar.value = number;
    bar.className = isGood(name) ? "good" : "";
    bar.setAttribute("aria-label", `${name}: ${number}`);
    const total = document.createElement("span");
    total.className = "count";
    total.textContent = whole.format(number);
    return [label, bar, total];
  }));
}

function drawLine(id, list) {
  const shown = list.slice(-SHOWN);
  const most = Math.max(1e-9, ...shown);
  const svg = at(id);
  svg.setAttribute("viewBox", `0 0 ${SHOWN * 5} 56`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...shown.map((value, index) => {
    const rect = document.createElementNS(NS, "rect");
    const height = Math.max(1.5, (value / most) * 54);
    rect.setAttribute("x", (SHOWN - shown.length + index) * 5);
    rect.setAttribute("y", 56 - height);
    rect.setAttribute("width", 4);
    rect.setAttribute("height", height);
    return rect;
  }));
}

function showTimes(id, name) {
  const list = values(name);
  say(id, time(quantile(list, 0.5)));
  say(`${id}-note`, list.length ? `median; 95 of 100 under ${time(quantile(list, 0.95))}` : "");
  drawLine(`${id}-line`, list);
}

function show() {
  say("runs", whole.format(sum(values("Runs"))));
  drawBars("outcomes", countBy("Runs", "Code"), (code) => GOOD.has(code));
  showTimes("token", "FirstTokenMs");
  showTimes("duration", "DurationMs");
  const errors = values("EtaErrorMs");
  if (errors.length) at("duration-note").textContent += `; its time left was wrong by ${time(quantile(errors, 0.5))}`;
  showTimes("lag", "LoopLagMs");
  const [input, output] = [sum(values("InputTokens")), sum(values("OutputTokens"))];
  say("tokens", whole.format(input + output));
  say("tokens-note", `${whole.format(input)} read, ${whole.format(output)} written`);
  const cost = values("CostUsd");
  say("money", dollars.format(sum(cost)));
  say("money-note", cost.length ? `${dollars.format(sum(cost) / cost.length)} an answer` : "");
  say("refused", whole.format(sum(values("Refused"))));
  const limits = countBy("LimitsHit", "Scope").map(([scope, number]) => [`limit: ${scope}`, number]);
  drawBars("refusals", [...countBy("Refused", "Code"), ...limits]);
  say("unavailable", whole.format(sum(values("ModelUnavailable"))));
  say("unavailable-note", values("ModelUnavailable").length ? "answers that ended because the model could not be reached" : "");
}

async function read() {
  try {
    const response = await fetch(`/dashboard/figures?after=${count}`);
    if (!response.ok) throw new Error(`${response.status}`);
    const said = await response.json();
    if (said.count < count) rows = [];
    count = said.count;
    rows = [...rows, ...said.rows].slice(-KEPT);
    if (rows.length) {
      const last = new Date(rows.at(-1).at).toLocaleTimeString();
      say("state", `The last ${whole.format(rows.length)} lines of metrics; the newest of ${last}.`);
    }
    show();
  } catch {
    say("state", "The emulator does not answer; trying again.");
  }
  setTimeout(read, document.hidden ? 10_000 : 2_000);
}

read();
