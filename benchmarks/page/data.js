// What the records say: rows of runs, what they have in common, means and intervals over seeds.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PANEL = ["sweep", "dataset", "model", "metric", "of"];
const PLACES = new Map(Object.keys(DATA.looks).map((label, place) => [label, place]));
const RUNS = inOrder(rowsOf(DATA.columns));
const CELL = [...PANEL, "label", "keep"];
const BATCHES = Object.keys(DATA.columns).flatMap(name => name.match(/^speedup_latency_(\d+)$/)?.[1] ?? []);

// A number that may be bought with quality: its name in a row, what stands at the axis, its unit, whether it is a ratio
const GAINS = [
  { name: "nonzero_compression_ratio", title: "compression (non-zero parameters)", axis: "compression (parameters, dense ÷ pruned)", unit: "×", octaves: true },
  { name: "speedup_macs", title: "theoretical speed-up (MACs)", axis: "theoretical speed-up (MACs)", unit: "×", octaves: true },
  ...BATCHES.map(batch => ({ name: `speedup_latency_${batch}`, title: `measured speed-up at batch ${batch}`, axis: `measured speed-up at batch ${batch}`, unit: "×", octaves: true })),
  { name: "bytes_ratio", title: "file size", axis: "file size (dense ÷ pruned)", unit: "×", octaves: true },
  { name: "scoring_seconds", title: "cost of scoring (seconds)", axis: "seconds of scoring", unit: " s", octaves: false },
];
const QUALITIES = [
  { name: "quality", title: "on the test part, after recovery", axis: "test" },
  { name: "unrecovered", title: "on validation, before recovery", axis: "unrecovered" },
];

function rowsOf(columns) {
  const names = Object.keys(columns);
  const length = names.length ? (columns[names[0]].codes ?? columns[names[0]]).length : 0;
  return Array.from({ length }, (_, place) => {
    const row = { place };
    for (const name of names) {
      const column = columns[name];
      row[name] = column.codes ? column.values[column.codes[place]] : column[place];
    }
    return row;
  });
}

function groupBy(rows, names) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(names.map(name => row[name]));
    groups.has(key) ? groups.get(key).push(row) : groups.set(key, [row]);
  }
  return groups;
}

// Mean of what is there and the half width of its 95 % Student t interval; one value has none, unless its run has its own
function interval(rows, name) {
  const values = rows.map(row => row[name]).filter(value => value !== null && value !== undefined);
  const n = values.length;
  if (!n) return { n, mean: null, half: null };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { n, mean, half: rows[0][`${name}_ci95`] ?? null };
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  return { n, mean, half: DATA.quantiles[Math.min(n - 1, DATA.quantiles.length) - 1] * spread / Math.sqrt(n) };
}

function cellsOf(rows) {
  return inOrder([...groupBy(rows, CELL).values()].map(runs => ({ ...runs[0], runs, n: runs.length })));
}

// As the tables of a report: by panel, then from the largest network to the smallest, methods as they are listed everywhere
function inOrder(rows) {
  const compare = (one, other) => PANEL.map(name => one[name].localeCompare(other[name])).find(Boolean) || other.keep - one.keep || PLACES.get(one.label) - PLACES.get(other.label) || one.seed - other.seed;
  return rows.sort(compare);
}

function number(value, digits = 3) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en").replace("-", "−");
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

function withHalf({ mean, half }, form) {
  if (mean === null) return "";
  return form(mean) + (half === null ? "" : ` ± ${form(half).replace(/[×]$/, "")}`);
}

const percent = value => (100 * value).toFixed(1).replace("-", "−");
const ratio = value => `${value.toFixed(2)}×`;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null));
  return made;
}
