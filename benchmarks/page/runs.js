// The page of a run, and of the runs of a cell, made when it is opened.
const pathOf = run => `#run/${encodeURIComponent(run.sweep)}/${run.id}`;
const cellPath = cell => `#cell/${CELL.map(name => encodeURIComponent(cell[name])).join("/")}`;

function plain(rows, { words = 1, head = null, id = null } = {}) {
  const cell = tag => (value, place) => element(tag, { class: place < words ? "word" : null, scope: tag === "th" ? "col" : null }, value instanceof Node ? value : String(value ?? ""));
  return element("div", { class: "scroll" }, element("table", { id }, ...(head ? [element("thead", {}, element("tr", {}, ...head.map(cell("th"))))] : []),
    element("tbody", {}, ...rows.map(row => element("tr", {}, ...row.map(cell("td")))))));
}

const part = (title, ...content) => element("section", {}, element("h2", {}, title), ...content);

function cellPage(path) {
  const wanted = path.map(decodeURIComponent);
  const runs = RUNS.filter(run => CELL.every((name, place) => String(run[name]) === wanted[place]));
  if (!runs.length) return null;
  const [cell] = cellsOf(runs), columns = columnsOf("runs");
  const head = columns.map(column => column.title), rows = runs.map(run => line(run, columns));
  const body = element("table", {}, element("thead", {}, element("tr", {}, ...head.map((title, place) => element("th", { scope: "col", class: columns[place].word ? "word" : null }, title)))), element("tbody", {}, ...rows));
  const said = `${cell.metric.replaceAll("_", " ")} ${withHalf(interval(runs, "quality"), percent)} % (n = ${cell.n}; 95 % Student t interval)`;
  return [back(), element("h1", { tabindex: "-1" }, `${cell.label}: ${cell.dataset} · ${cell.model}, keep ${cell.keep} of ${cell.of}`), element("p", {}, said), element("div", { class: "scroll" }, body)];
}

const back = () => element("p", {}, element("a", { href: "#" }, "← all results"));

function runPage(sweep, id) {
  const run = RUNS.find(row => row.sweep === decodeURIComponent(sweep) && row.id === id);
  if (!run) return null;
  const told = DATA.runs[run.place], from = place => DATA.pool[place];
  const copy = element("button", { type: "button", onclick: event => navigator.clipboard.writeText(told.command).then(() => { event.target.textContent = "Copied"; }) }, "Copy");
  const machine = { ...from(told.machine), ...Object.fromEntries(Object.entries(from(told.versions)).map(([name, version]) => [name, version])) };
  return [
    back(), element("h1", { tabindex: "-1" }, `${run.label}: ${run.dataset} · ${run.model}, keep ${run.keep} of ${run.of}, seed ${run.seed}`),
    element("p", { class: "note" }, `Run ${run.id} of the sweep ${run.sweep}, finished ${told.finished}, at commit ${from(told.commit)}. `,
      element("a", { href: `${encodeURIComponent(run.sweep)}/records/${run.id}.json` }, "The whole record (JSON)")),
    part("The command that repeats it", element("pre", { id: "command" }, told.command), copy),
    element("div", { class: "columns" }, part("Networks", networks(run, told, from)), part("Cost", plain(Object.entries(told.cost).map(([name, value]) => [name.replaceAll("_", " "), number(value)])))),
    part("Rounds", rounds(run, told), note(run, told)),
    part("Widths of the groups", widths(told, from)),
    ...(told.curve.length ? [part("Recovery", element("div", { id: "curve", role: "figure", "aria-label": "Metric on validation data over the steps of recovery" }))] : []),
    ...(told.artefacts.length ? [part("What is shipped", artefacts(told))] : []),
    part("Machine", plain(Object.entries(machine).filter(([, value]) => value !== "").map(([name, value]) => [name, value]))),
    part("Configuration", configuration(told, from)),
  ];
}

function networks(run, told, from) {
  const { dense, pruned } = from(told.networks);
  const shown = name => value => value === null || value === undefined ? "" : name.startsWith("latency") ? `${number(1000 * value)} ms` : number(value, 5);
  return plain(Object.keys(dense).map(name => [name.replaceAll("_", " "), shown(name)(dense[name]), shown(name)(pruned[name])]), { head: ["on the test part", "dense", "pruned"] });
}

function rounds(run, told) {
  const head = ["round", "step", "asked", "achieved", `${run.metric.replaceAll("_", " ")} before %`, "after %", "scoring s", "units that stay"];
  const rows = told.rounds.map((round, place) => [place + 1, round.step, number(round.asked, 4), number(round.achieved, 4), percentOrNot(round.before), percentOrNot(round.after), number(round.scoring_seconds),
    number(round.widths.reduce((sum, width) => sum + width, 0))]);
  return plain(rows, { words: 0, head });
}

const percentOrNot = value => value === null ? "" : percent(value);

function note(run, told) {
  const verdict = told.acceptance === null ? "" : ` The network was ${told.acceptance.accepted ? "accepted" : "rejected"}: ${JSON.stringify(told.acceptance)}.`;
  return element("p", { class: "note" }, `Before and after the recovery that follows the removal, on validation data. ${number(100 * told.coverage, 4)} % of the ${run.of} are within reach of pruning.${verdict}`);
}

function widths(told, from) {
  const units = Object.entries(from(told.groups)), shown = told.rounds.length > 12 ? told.rounds.filter((_, place) => place % Math.ceil(told.rounds.length / 12) === 0 || place === told.rounds.length - 1) : told.rounds;
  const rows = units.map(([name, before], place) => [name, before ?? "", ...shown.map(round => round.widths[place])]);
  return plain(rows, { head: ["group", "dense", ...shown.map(round => `round ${told.rounds.indexOf(round) + 1}`)] });
}

function artefacts(told) {
  const names = [...new Set(told.artefacts.flatMap(Object.keys))];
  const shown = (name, value) => name.startsWith("seconds") && value ? `${number(1000 * value)} ms` : number(value);
  return plain(told.artefacts.map(one => names.map(name => shown(name, one[name]))), { words: 2, head: names.map(name => name.replaceAll("_", " ").replace("seconds, ", "")) });
}

function drawCurve(run) {
  const told = DATA.runs[run.place];
  if (!told.curve.length) return;
  const first = [told.rounds[0].step, told.rounds[0].before], curve = [first, ...told.curve];
  const axis = title => ({ title: { text: title }, gridcolor: "#e4e4e4", zeroline: false });
  Plotly.newPlot("curve", [{ x: curve.map(point => point[0]), y: curve.map(point => 100 * point[1]), mode: "lines+markers", line: { color: DATA.looks[run.label].color } }],
    { height: 260, margin: { l: 60, r: 10, t: 10, b: 45 }, xaxis: axis("steps of recovery"), yaxis: axis(`validation ${run.metric.replaceAll("_", " ")} (%)`) }, { displaylogo: false, responsive: true });
}

function configuration(told, from) {
  const leaves = (value, name) => value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${name}.${key}`)) : [[name, JSON.stringify(value)]];
  const choices = Object.entries(from(told.choices)).map(([axis, choice]) => [axis, choice]);
  const settings = Object.entries(told.config).flatMap(([section, place]) => leaves(from(place), section));
  return element("div", { class: "columns" }, plain(choices, { head: ["axis", "choice"], words: 2 }), plain(settings, { head: ["setting", "value"], words: 2, id: "config" }));
}
