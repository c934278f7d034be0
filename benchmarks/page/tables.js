// Numbers as a table: sorted by a column, a page of rows at a time, each row a link to its run or cell.
const ROWS = 50;

const word = (name, title) => ({ title, word: true, value: row => row[name], text: row => row[name] });
const mean = (name, title, form) => ({
  title, value: row => interval(row.runs ?? [row], name).mean,
  text: row => withHalf(interval(row.runs ?? [row], name), form), half: row => interval(row.runs ?? [row], name).half,
});

function columnsOf(kind) {
  const about = kind === "means" ? { title: "n", value: row => row.n, text: row => String(row.n) } : { title: "seed", value: row => row.seed, text: row => String(row.seed) };
  return [
    word("sweep", "sweep"), word("dataset", "data set"), word("model", "model"), word("label", "method"),
    { title: "keep", value: row => row.keep, text: row => number(row.keep, 6) }, word("of", "of"), about,
    mean("achieved", "achieved", value => value.toFixed(3)),
    word("metric", "metric"), mean("quality", "test %", percent), mean("unrecovered", "unrecovered %", percent), mean("dense_quality", "dense %", percent),
    mean("nonzero_compression_ratio", "compression", ratio), mean("speedup_macs", "MACs", ratio), mean("bytes_ratio", "file", ratio),
    ...BATCHES.map(batch => mean(`speedup_latency_${batch}`, `latency @${batch}`, ratio)),
    mean("scoring_seconds", "scoring s", value => number(value)), mean("evaluations", "evaluations", value => number(Math.round(value))),
  ];
}

function sorted(rows, column, down) {
  const sign = down ? -1 : 1, absent = value => value === null || value === undefined;
  return rows.map(row => [column.value(row), row]).sort(([one], [other]) =>
    absent(one) - absent(other) || sign * (typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other)).map(([, row]) => row);
}

function table(rows, kind, state, changed) {
  const columns = columnsOf(kind), place = columns.findIndex(column => column.title === state.by);
  const ordered = place < 0 ? rows : sorted(rows, columns[place], state.down);
  const head = element("tr", {}, ...columns.map(column => element("th", {
    scope: "col", class: column.word ? "word" : null, "aria-sort": column.title !== state.by ? null : state.down ? "descending" : "ascending",
  }, element("button", { type: "button", onclick: () => changed({ by: column.title, down: column.title === state.by ? !state.down : !column.word, page: 0 }) },
    column.title + (column.title !== state.by ? "" : state.down ? " ▾" : " ▴")))));
  const body = ordered.slice(state.page * ROWS, (state.page + 1) * ROWS).map(row => line(row, columns));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function line(row, columns) {
  const to = row.runs && row.n > 1 ? cellPath(row) : pathOf(row.runs?.[0] ?? row);
  return element("tr", { "data-to": to, onclick: event => { if (event.target.tagName !== "A") location.hash = to; } },
    ...columns.map(column => element("td", { class: column.word ? "word" : null },
      ...(column.title === "method" ? [element("span", { class: "swatch", style: `background:${DATA.looks[row.label].color}` }), element("a", { href: to }, row.label)] : [column.text(row)]))));
}

function csvOf(rows, kind) {
  const quoted = value => /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value ?? "";
  const columns = columnsOf(kind);
  const head = columns.flatMap(column => column.half && kind === "means" ? [column.title, `${column.title} ± 95 %`] : [column.title]);
  const lines = rows.map(row => columns.flatMap(column => column.half && kind === "means" ? [column.value(row), column.half(row)] : [column.value(row)]));
  return [head, ...lines].map(cells => cells.map(quoted).join(",")).join("\n") + "\n";
}

function pager(holder, what, page, pages, changed) {
  const step = (sign, name) => element("button", { type: "button", "aria-label": `${name} ${what}`, disabled: page + sign < 0 || page + sign >= pages, onclick: () => changed(page + sign) }, sign < 0 ? "←" : "→");
  holder.replaceChildren(...(pages > 1 ? [step(-1, "previous"), `${page + 1} of ${pages}`, step(1, "next")] : []));
}
