"use strict";
// The fragment holds the view: <table>.sort=[-]<column>, <table>.filter=<words>, open=<hash>,<hash>.
// What the reader does changes the fragment; a change of the fragment changes the page.

const details = JSON.parse(document.getElementById("details").textContent);
const SVG = "http://www.w3.org/2000/svg";

const tables = ["scores", "cells"].map((name) => {
  const element = document.getElementById(name);
  const rows = [...element.tBodies[0].rows].map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
    detail: null, // the row below it while it is open
  }));
  return {
    name, element, rows, order: rows, sorted: "",
    heads: [...element.tHead.rows[0].cells],
    input: document.getElementById(`${name}-filter`),
    count: document.querySelector(`output[for="${name}-filter"]`),
  };
});

function view() {
  return new URLSearchParams(location.hash.slice(1));
}

function change(key, value) {
  const next = view();
  next.delete("all");
  if (value) next.set(key, value);
  else next.delete(key);
  location.replace(`#${next.toString() || "all"}`); // an empty fragment would jump to the top
}

function sort(table, wanted) {
  if (wanted === table.sorted) return;
  table.sorted = wanted;
  const down = wanted.startsWith("-");
  const place = table.heads.findIndex((head) => head.dataset.key === (down ? wanted.slice(1) : wanted));
  table.heads.forEach((head, at) => {
    if (at === place) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  table.order = place < 0 ? table.rows : ordered(table.rows, place, down ? -1 : 1, table.heads[place]);
  const body = table.element.tBodies[0];
  body.append(...table.order.flatMap(({ row, detail }) => (detail ? [row, detail] : [row])));
}

function ordered(rows, place, sign, head) {
  const numeric = head.classList.contains("number");
  const keyed = rows.map((entry) => {
    const text = entry.row.cells[place].textContent.trim();
    const value = numeric ? parseFloat(text) : text;
    return { entry, value, none: numeric ? Number.isNaN(value) : text === "" };
  });
  const compare = numeric ? (a, b) => a - b : new Intl.Collator("en", { numeric: true }).compare;
  keyed.sort((a, b) => a.none - b.none || (a.none ? 0 : sign * compare(a.value, b.value))); // nothing comes last
  return keyed.map(({ entry }) => entry);
}

function filter(table, said) {
  if (table.input.value !== said) table.input.value = said;
  const words = said.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { row, text, detail } of table.rows) {
    row.hidden = !words.every((word) => text.includes(word));
    if (detail) detail.hidden = row.hidden;
    shown += !row.hidden;
  }
  table.count.textContent = words.length ? `${shown} of ${table.rows.length} rows` : `${shown} rows`;
}

function open(table, hashes) {
  let first = null;
  for (const entry of table.rows) {
    const wanted = hashes.has(entry.row.dataset.hash);
    if (wanted === (entry.detail !== null)) continue;
    entry.row.querySelector("button").setAttribute("aria-expanded", wanted);
    if (wanted) {
      entry.detail = detailed(entry.row, table.heads.length);
      entry.row.after(entry.detail);
      first ??= entry.detail;
    } else {
      entry.detail.remove();
      entry.detail = null;
    }
  }
  return first;
}

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function detailed(row, width) {
  const cell = details[row.dataset.hash];
  const parts = make("div", {});
  const add = (title, ...shown) => parts.append(make("section", {}, make("h3", {}, title), ...shown));
  if (cell.error) add("Error", make("pre", { class: "bad" }, cell.error));
  add("Command", make("pre", {}, cell.command));
  if (cell.curve) {
    const steps = cell.curve.map(([step]) => step);
    const score = chart(cell.scored ?? "score (points)", steps, cell.curve.map((p) => p[2]), cell.best);
    const loss = chart("training loss", steps, cell.curve.map((p) => p[1]), cell.best);
    const end = cell.scored ? `the checkpoint of step ${cell.best} was chosen` : "it was ended here";
    add(`Learning curve; ${end}`, make("div", { class: "curves" }, score, loss));
  }
  add("Settings that not all cells share", pairs(cell.settings));
  if (cell.facts) add("Results", pairs(cell.facts));
  add("Origin that not all cells share", pairs(cell.origin));
  return make("tr", { class: "detail" }, make("td", { colspan: width }, parts));
}

function pairs(values) {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const lines = Object.entries(values).map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, text(value))));
  return make("dl", {}, ...(lines.length ? lines : ["none"]));
}

function chart(title, steps, values, best) {
  const [left, right, top, bottom] = [45, 340, 28, 130];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [begin, end] = [steps[0], steps[steps.length - 1]];
  const x = (step) => (end > begin ? left + 8 + ((step - begin) / (end - begin)) * (right - left - 16) : (left + right) / 2);
  const y = (value) => (high > low ? bottom - 8 - ((value - low) / (high - low)) * (bottom - top - 16) : (top + bottom) / 2);
  const said = (value) => Number(value.toPrecision(3)).toString();
  const name = `${title}: ${said(values[0])} at step ${begin}, ${said(values[values.length - 1])} at step ${end}`;
  const svg = draw(null, "svg", { viewBox: "0 0 350 155", role: "img", "aria-label": name });
  draw(svg, "text", { x: 8, y: 16 }, title);
  draw(svg, "line", { x1: left, x2: right, y1: bottom, y2: bottom });
  draw(svg, "line", { x1: left, x2: left, y1: top, y2: bottom });
  for (const value of new Set([low, high])) draw(svg, "text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, said(value));
  for (const step of new Set([begin, end])) draw(svg, "text", { x: x(step), y: bottom + 16, "text-anchor": "middle" }, step);
  draw(svg, "polyline", { points: steps.map((step, at) => `${x(step).toFixed(1)},${y(values[at]).toFixed(1)}`).join(" ") });
  steps.forEach((step, at) => {
    if (step === best || steps.length < 30) draw(svg, "circle", { cx: x(step), cy: y(values[at]), r: step === best ? 5 : 2.5 });
  });
  return svg;
}

function draw(parent, tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent?.append(made);
  return made;
}

function show() {
  const now = view();
  const opened = open(tables[1], new Set((now.get("open") ?? "").split(",")));
  for (const table of tables) {
    sort(table, now.get(`${table.name}.sort`) ?? "");
    filter(table, now.get(`${table.name}.filter`) ?? "");
  }
  opened?.scrollIntoView({ block: "nearest" });
}

for (const table of tables) {
  table.input.addEventListener("input", () => change(`${table.name}.filter`, table.input.value));
  for (const head of table.heads) {
    head.querySelector("button").addEventListener("click", () => {
      const { key } = head.dataset;
      const next = new Map([[key, `-${key}`], [`-${key}`, ""]]).get(table.sorted) ?? key;
      change(`${table.name}.sort`, next);
    });
  }
}
tables[1].element.addEventListener("click", (event) => {
  const hash = event.target.closest("button[aria-expanded]")?.closest("tr").dataset.hash;
  if (!hash) return;
  const hashes = new Set((view().get("open") ?? "").split(",").filter(Boolean));
  if (!hashes.delete(hash)) hashes.add(hash);
  change("open", [...hashes].join(","));
});
window.addEventListener("hashchange", show);
show();
