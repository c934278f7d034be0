// Filters, what is shown, and the way between the overview and the pages of runs.
const FACETS = [["sweep", "Experiment"], ["task", "Task"], ["dataset", "Data set"], ["model", "Model"], ["metric", "Metric"], ["of", "Budget in"], ["method", "Method"], ["keep", "Kept"]];
const shut = Object.fromEntries(FACETS.map(([name]) => [name, new Set()])); // the choices that are not ticked
const state = { quality: QUALITIES[0], gain: GAINS[0], points: "means", page: 0, kind: "means", table: { by: null, down: false, page: 0 } };
const $ = id => document.getElementById(id);
let open = RUNS, listed = [];

const allowed = (row, except) => FACETS.every(([name]) => name === except || !shut[name].has(String(row[name])));

function filters() {
  const boxes = FACETS.map(([name, title]) => {
    const choices = [...new Set(RUNS.map(row => String(row[name])))].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
    if (name === "keep") choices.sort((one, other) => other - one);
    if (choices.length < 2) return null;
    const all = (text, keep) => element("button", { type: "button", class: "all", "aria-label": `${text} of ${title}`, onclick: () => { shut[name] = new Set(keep ? [] : choices); refresh(); } }, text);
    const box = choice => element("label", { "data-facet": name, "data-choice": choice },
      element("input", { type: "checkbox", checked: true, onchange: event => { shut[name][event.target.checked ? "delete" : "add"](choice); refresh(); } }), choice, element("span"));
    return element("details", { open: true }, element("summary", {}, title), all("all", true), all("none", false), element("div", { class: "choices" }, ...choices.map(box)));
  });
  $("filters").replaceChildren(...boxes.filter(Boolean));
}

// How many runs a choice would show, given what is ticked elsewhere
function counts() {
  for (const [name] of FACETS) {
    const found = new Map();
    for (const row of RUNS) if (allowed(row, name)) found.set(String(row[name]), (found.get(String(row[name])) ?? 0) + 1);
    for (const label of document.querySelectorAll(`label[data-facet="${name}"]`)) {
      const count = found.get(label.dataset.choice) ?? 0;
      label.querySelector("span").textContent = count;
      label.classList.toggle("none", !count);
      label.querySelector("input").checked = !shut[name].has(label.dataset.choice);
    }
  }
}

function refresh() {
  open = RUNS.filter(row => allowed(row));
  Object.assign(state, { page: 0, table: { ...state.table, page: 0 } });
  counts();
  const sweeps = new Set(open.map(row => row.sweep));
  $("count").textContent = `${open.length.toLocaleString("en")} of ${RUNS.length.toLocaleString("en")} runs, in ${sweeps.size} ${sweeps.size === 1 ? "sweep" : "sweeps"}`;
  plot();
  numbers();
  files();
}

function plot() {
  const panels = draw(open, state);
  pager($("pages"), "panels", state.page, Math.ceil(panels / AT_ONCE), page => { state.page = page; plot(); });
  const bars = state.points === "means" ? "Bars: 95 % Student t intervals over seeds; of a single run's speed-up, of the bootstrap over its samples. " : "";
  $("said").textContent = open.length ? `${bars}Click on a point to open its run${state.points === "means" ? "s" : ""}, on a name in the legend to hide it, twice to see it alone.` : "Nothing is ticked that has runs.";
}

function numbers() {
  listed = state.kind === "means" ? cellsOf(open) : open;
  const change = changes => { Object.assign(state.table, changes); numbers(); };
  $("table").replaceChildren(table(listed, state.kind, state.table, change));
  pager($("places"), "rows", state.table.page, Math.ceil(listed.length / ROWS), page => change({ page }));
}

function files() {
  const wanted = DATA.sweeps.filter(sweep => !shut.sweep.has(sweep.name));
  $("sweeps").replaceChildren(...wanted.map(sweep => {
    const link = (name, form) => element("a", { href: `${encodeURIComponent(sweep.name)}/${name}.${form}`, download: form === "html" ? null : true }, form);
    const links = (name, forms) => forms.flatMap(form => [" ", link(name, form)]);
    const entries = Object.entries(sweep.files);
    const tables = entries.filter(([, forms]) => forms.includes("csv")), figures = entries.filter(([, forms]) => forms.includes("png"));
    return element("section", {}, element("h3", {}, sweep.name), ...(sweep.problem ? [element("p", { class: "problem" }, sweep.problem)] : []),
      ...tables.map(([name, forms]) => element("p", {}, `Table ${name}:`, ...links(name, forms))),
      element("div", { class: "figures" }, ...figures.map(([name, forms]) => element("figure", {},
        element("a", { href: `${encodeURIComponent(sweep.name)}/${name}.png` }, element("img", { src: `${encodeURIComponent(sweep.name)}/${name}.png`, alt: `${name.replaceAll("_", " ")} of ${sweep.name}`, loading: "lazy" })),
        element("figcaption", {}, `${name.replaceAll("_", " ")}:`, ...links(name, forms))))));
  }));
}

function select(id, options, chosen) {
  if (options) $(id).replaceChildren(...options.map((option, place) => element("option", { value: place }, option.title)));
  $(id).addEventListener("change", event => chosen(options ? options[event.target.value] : event.target.value));
}

function route() {
  const [kind, ...path] = location.hash.slice(1).split("/");
  const content = kind === "run" ? runPage(...path) : kind === "cell" ? cellPage(path) : null;
  const leaves = $("overview").hidden === false && content;
  if (leaves) state.scrolled = window.scrollY;
  $("overview").hidden = Boolean(content);
  $("page").hidden = !content;
  $("page").replaceChildren(...(content ?? []));
  if (kind === "run" && content) drawCurve(RUNS.find(row => pathOf(row) === location.hash));
  if (content) { window.scrollTo(0, 0); $("page").querySelector("h1").focus({ preventScroll: true }); }
  else if (!kind) { Plotly.Plots.resize("plot"); window.scrollTo(0, state.scrolled ?? 0); }
}

function save() {
  const link = element("a", { href: URL.createObjectURL(new Blob([csvOf(listed, state.kind)], { type: "text/csv" })), download: `${state.kind}.csv` });
  link.click();
  URL.revokeObjectURL(link.href);
}

filters();
select("quality", QUALITIES, quality => { state.quality = quality; plot(); });
select("gain", GAINS, gain => { state.gain = gain; plot(); });
select("points", null, points => { state.points = points; plot(); });
select("kind", null, kind => { state.kind = kind; state.table.page = 0; numbers(); });
$("download").addEventListener("click", save);
refresh();
$("plot").on("plotly_click", event => { if (event.points[0].customdata) location.hash = event.points[0].customdata; });
window.addEventListener("hashchange", route);
route();
