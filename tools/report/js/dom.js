// Elements, and numbers as people read them.

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/// A table: headings [{text, kind}], rows of cells (texts or elements) whose first is the row's heading. Cells know
/// their headings, for where they don't stand below them.
function table(headings, rows, attributes = {}) {
  const head = headings.map(({ text, kind }) =>
    element("th", { scope: "col", class: kind === "text" ? "text" : "" }, text));
  const headingOf = ({ text }) => (typeof text === "string" ? { "data-heading": text } : {});
  const body = rows.map(({ cells, marked }) =>
    element("tr", marked ? { class: "marked" } : {}, ...cells.map((cell, i) =>
      i === 0 ? element("th", { scope: "row" }, cell) : element("td", { class: headings[i].kind || "", ...headingOf(headings[i]) }, cell))));
  return element("table", attributes, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

const last = (values) => (values.length === 0 ? null : values[values.length - 1]);

const format = {
  count: (value) => value.toLocaleString("en"),
  /// To so many digits, without zeros behind them; large numbers whole.
  number(value, digits = 4) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (Math.abs(value) >= 1e9) return value.toExponential(2).replace("e+", "e");
    if (Number.isInteger(value)) return value.toLocaleString("en");
    if (Math.abs(value) >= 10 ** (digits - 1)) return Math.round(value).toLocaleString("en");
    return String(Number(value.toPrecision(digits)));
  },
  percent(share, digits = 1) {
    return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;
  },
  /// A time on the clock of the runs.
  time(value) {
    if (format.clock === "virtual") return `${format.number(value)} ${value === 1 ? "unit" : "units"}`;
    if (value === 0) return "0 s";
    if (Math.abs(value) < 1e-3) return `${format.number(1e6 * value, 3)} µs`;
    if (Math.abs(value) < 1) return `${format.number(1e3 * value, 3)} ms`;
    return `${format.number(value)} s`;
  },
  /// "4.2", or "4.2 [4.1, 4.4]" of several runs: the median, and the quartiles.
  spread(values, text) {
    const known = values.filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return "–";
    if (known.length === 1) return text(known[0]);
    const [lower, median, upper] = quartiles(known);
    if (text(lower) === text(upper)) return text(median);
    const range = element("small", {}, `[${text(lower).replace(" %", "")}, ${text(upper).replace(" %", "")}]`);
    return element("span", {}, text(median), range);
  },
  clock: "wall",
};

const axisTitles = {
  time: () => (format.clock === "virtual" ? "time, units of the delay model" : "time, s"),
  update: () => "updates",
  gradients: () => "gradients",
};
