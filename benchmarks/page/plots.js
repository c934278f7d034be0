// Quality against what it buys: a panel for each sweep, data set, model and budget; a line for each method.
const AT_ONCE = 9;
const SMALLEST = 1e-4; // seconds, on an axis of logarithms

// Those of most runs first
function panelsOf(rows) {
  return [...groupBy(rows, PANEL).values()].sort((one, other) => other.length - one.length);
}

function titleOf(row, all) {
  const several = name => new Set(all.map(other => other[name])).size > 1;
  const rest = [several("sweep") ? row.sweep : "", several("metric") ? row.metric.replaceAll("_", " ") : "", several("of") ? `budget in ${row.of}` : ""].filter(Boolean);
  return `<b>${row.dataset} · ${row.model}</b>${rest.length ? `<br><span style="font-size:11px;color:#5b6470">${rest.join(" · ")}</span>` : ""}`;
}

function draw(rows, { quality, gain, points, page }) {
  const panels = panelsOf(rows), shown = panels.slice(page * AT_ONCE, (page + 1) * AT_ONCE);
  const wide = document.getElementById("plot").clientWidth;
  const names = legendOf(shown.flat(), wide);
  const columns = Math.max(1, Math.min(shown.length, 3, Math.floor((wide - names.beside) / 330)));
  const lines = Math.max(1, Math.ceil(shown.length / columns)), height = lines * (lines > 1 ? 310 : 430) + 60 + names.under;
  const layout = {
    height, margin: { l: 60, r: 10, t: 42, b: 48 }, hovermode: "closest", showlegend: true,
    font: { family: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 12, color: "#1c2024" },
    legend: { itemsizing: "constant", tracegroupgap: 0, ...(names.under ? { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" } : { orientation: "v", x: 1.01, y: 1 }) },
    annotations: [],
  };
  const seen = new Set(), traces = [];
  shown.forEach((panel, place) => {
    const axis = place ? String(place + 1) : "";
    axesOf(layout, axis, { place, columns, lines, panel, rows, quality, gain, under: names.under });
    const found = points === "runs" ? single(panel, quality, gain) : means(panel, quality, gain);
    for (const trace of found) {
      const first = !seen.has(trace.legendgroup);
      seen.add(trace.legendgroup);
      traces.push({ ...trace, xaxis: `x${axis}`, yaxis: `y${axis}`, showlegend: first });
    }
  });
  const tools = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg", filename: "tradeoff" } };
  Plotly.react("plot", traces, layout, tools);
  return panels.length;
}

// Beside the panels, or under them where long names would leave the panels no width: pixels that the names take there,
// for which Plotly widens the margin by itself
function legendOf(rows, wide) {
  const labels = [...new Set(rows.map(row => row.label))];
  const longest = 60 + 7 * Math.max("Pareto front".length, ...labels.map(label => label.length));
  if (longest < 0.3 * wide) return { beside: longest, under: 0 };
  return { beside: 0, under: 30 + 19 * Math.ceil((labels.length + 2) / Math.max(1, Math.floor(wide / longest))) };
}

function axesOf(layout, axis, { place, columns, lines, panel, rows, quality, gain, under }) {
  const column = place % columns, line = Math.floor(place / columns), gap = 0.075, high = 95 / (layout.height - 90 - under);
  const width = (1 - gap * (columns - 1)) / columns, tall = (1 - high * (lines - 1)) / lines;
  const left = column * (width + gap), top = 1 - line * (tall + high);
  const looks = { gridcolor: "#e4e4e4", zeroline: false, automargin: true, linecolor: "#8a929c", showline: true, ticks: "outside", ticklen: 3 };
  const values = panel.map(row => row[gain.name]).filter(value => value > 0);
  layout[`xaxis${axis}`] = { ...looks, type: "log", domain: [left, left + width], anchor: `y${axis}`,
    title: { text: gain.axis, standoff: 6, font: { size: 11 } }, ...(gain.octaves ? octaves(values) : { dtick: 1, exponentformat: "power" }) };
  const metric = `${panel[0].metric.replaceAll("_", " ")} (%)`;
  layout[`yaxis${axis}`] = { ...looks, domain: [Math.max(0, top - tall), top], anchor: `x${axis}`, title: { text: `${quality.axis} ${metric}`, standoff: 4, font: { size: 11 } } };
  layout.annotations.push({ text: titleOf(panel[0], rows), showarrow: false, xref: "paper", yref: "paper",
    x: left + width / 2, y: top, xanchor: "center", yanchor: "bottom", font: { size: 13 } });
}

// Powers of two that are read as factors, or of their roots; at least an octave is shown
function octaves(values) {
  const [low, high] = values.length ? [Math.log2(Math.min(...values)), Math.log2(Math.max(...values))] : [0, 1];
  const aside = Math.max(0.12, (1 - high + low) / 2), step = high - low < 1.2 ? 0.5 : 1, ticks = [];
  for (let tick = Math.ceil((low - aside) / step) * step; tick <= high + aside; tick += step) ticks.push(2 ** tick);
  const range = [low - aside, high + aside].map(power => power * Math.log10(2));
  return { range, tickangle: 0, tickvals: ticks, ticktext: ticks.map(tick => `${number(tick, 2)}×`) };
}

function lookOf(label) {
  const { color, symbol, dash } = DATA.looks[label];
  return { name: label, legendgroup: label, legendrank: PLACES.get(label), marker: { color, symbol, size: 8, line: { color: "white", width: 0.8 } }, line: { color, dash, width: 1.8 } };
}

const linesOf = rows => [...groupBy(rows, ["label"]).values()].sort(([one], [other]) => PLACES.get(one.label) - PLACES.get(other.label));

function single(panel, quality, gain) {
  return linesOf(panel).map(runs => ({
    ...lookOf(runs[0].label), type: "scattergl", mode: "markers", opacity: 0.75,
    x: runs.map(run => at(run[gain.name])), y: runs.map(run => run[quality.name] === null ? null : 100 * run[quality.name]),
    customdata: runs.map(run => pathOf(run)),
    text: runs.map(run => `${run.label}<br>keep ${run.keep}, seed ${run.seed}`), hovertemplate: `%{text}<br>%{y:.2f} % at %{x:.3g}${gain.unit}<extra></extra>`,
  }));
}

function means(panel, quality, gain) {
  const cells = cellsOf(panel).map(cell => ({ ...cell, y: interval(cell.runs, quality.name), x: interval(cell.runs, gain.name) }));
  const lines = linesOf(cells).map(line => {
    line.sort((one, other) => other.keep - one.keep);
    const errors = name => ({ type: "data", array: line.map(cell => (cell[name].half ?? 0) * (name === "y" ? 100 : 1)), thickness: 1, width: 3, color: DATA.looks[line[0].label].color });
    return {
      ...lookOf(line[0].label), type: "scatter", mode: gain.octaves ? "lines+markers" : "markers",
      x: line.map(cell => at(cell.x.mean)), y: line.map(cell => cell.y.mean === null ? null : 100 * cell.y.mean),
      error_y: errors("y"), ...(gain.name.startsWith("speedup_latency") ? { error_x: errors("x") } : {}),
      customdata: line.map(cell => cell.n === 1 ? pathOf(cell.runs[0]) : cellPath(cell)),
      text: line.map(cell => `${cell.label}<br>keep ${cell.keep}, n = ${cell.n}<br>${withHalf(cell.y, percent)} %<br>${withHalf(cell.x, value => number(value) + gain.unit)}`),
      hovertemplate: "%{text}<extra></extra>",
    };
  });
  return [dense(panel, gain), front(cells, gain), ...lines];
}

const at = value => value === null || value === undefined ? null : Math.max(value, SMALLEST);

function dense(panel, gain) {
  const { mean } = interval(panel, "dense_quality"), values = panel.map(row => at(row[gain.name])).filter(value => value !== null);
  const [low, high] = [Math.min(...values) / 1.08, Math.max(...values) * 1.08];
  return { name: "dense (test)", legendgroup: "dense (test)", legendrank: 2000, type: "scatter", mode: "lines", hoverinfo: "skip", line: { color: "black", dash: "dash", width: 1 },
    x: [low, high], y: [100 * mean, 100 * mean] };
}

// What no other mean surpasses in both; of costs, less is better
function front(cells, gain) {
  const sign = gain.octaves ? -1 : 1, best = [];
  const points = cells.filter(cell => cell.x.mean !== null && cell.y.mean !== null).sort((one, other) => sign * (one.x.mean - other.x.mean) || other.y.mean - one.y.mean);
  for (const point of points) if (!best.length || point.y.mean > best.at(-1).y.mean) best.push(point);
  return { name: "Pareto front", legendgroup: "Pareto front", legendrank: 2001, type: "scatter", mode: "lines", hoverinfo: "skip", line: { color: "#cccccc", width: 5, shape: gain.octaves ? "vh" : "hv" },
    x: best.map(point => at(point.x.mean)), y: best.map(point => 100 * point.y.mean) };
}
