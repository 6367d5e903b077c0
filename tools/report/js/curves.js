// Curves over time, updates or gradients, with Chart.js.

/// What there are curves of: where a run's data has them (a series, a column), the best series first. `fine`
/// series have a point for a few gradients: they are drawn as means over more. Another measure is a line here.
const measures = [
  { id: "accuracy", title: "Accuracy", from: [["evaluations", "accuracy"]], tick: (y) => `${+(100 * y).toFixed(2)} %` },
  { id: "loss", title: "Loss", note: "of held-out examples", from: [["evaluations", "loss"]], mayBeLog: true },
  { id: "train_loss", title: "Training loss", note: "mean over minibatches",
    from: [["progress", "loss"], ["evaluations", "train_loss"]], fine: true, mayBeLog: true },
  { id: "objective", title: "Objective", note: "f over the training examples", from: [["evaluations", "objective"]],
    mayBeLog: true },
  { id: "gradient_norm_sq", title: "Gradient", note: "‖∇f‖²", from: [["evaluations", "gradient_norm_sq"]], mayBeLog: true },
  { id: "staleness", title: "Staleness", note: "mean over gradients", from: [["progress", "staleness_mean"]], fine: true,
    fromZero: true },
  { id: "updates", title: "Updates", note: "over time", from: [["progress", "update"], ["evaluations", "update"]], axis: "time",
    fromZero: true },
  { id: "gradients", title: "Gradients", note: "over time",
    from: [["progress", "gradients"], ["evaluations", "gradients"]], axis: "time", fromZero: true },
];

const finePoints = 120;

/// At most so many points, each the mean of as many neighbours.
function coarser(points, most) {
  const size = Math.ceil(points.length / most);
  if (size <= 1) return points;
  const means = [];
  for (let i = 0; i < points.length; i += size) {
    const some = points.slice(i, i + size);
    means.push({ x: some[some.length - 1].x, y: some.reduce((sum, point) => sum + point.y, 0) / some.length });
  }
  return means;
}

function curveOf(picture, measure, axis) {
  for (const [series, column] of measure.from) {
    const values = picture[series]?.[column];
    if (!values || !values.some((value) => value !== null)) continue;
    const places = picture[series][measure.axis || axis];
    const points = values.map((y, i) => ({ x: places[i], y })).filter(({ x, y }) => x !== null && y !== null);
    return measure.fine ? coarser(points, finePoints) : points;
  }
  return [];
}

const markersOnACurve = 8;

/// The group's marker at some points of its curve, at others than on other curves; where there are few points a dot
/// at the rest.
function pointRadii(count, index) {
  const every = Math.max(1, Math.ceil(count / markersOnACurve));
  return Array.from({ length: count }, (_, i) => ((i + 3 * index) % every === every - 1 ? 4 : count <= 40 ? 1.2 : 0));
}

function lines(group, curve, single) {
  const border = groupColour(group.index);
  const few = curve.median.length <= 40;
  const line = { label: group.label, data: curve.median, clip: { left: 5, right: 5, top: 1, bottom: 5 },
    borderColor: border, backgroundColor: border, borderWidth: 2,
    borderDash: groupDash(group.index), pointBorderWidth: 1.5, pointHitRadius: 8, pointStyle: groupMarker(group.index).name,
    pointRadius: single ? (few ? 2 : 0) : pointRadii(curve.median.length, group.index) };
  if (!curve.lower) return [line];
  const edge = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isBand: true };
  return [
    { ...edge, data: curve.lower },
    { ...edge, data: curve.upper, fill: "-1", backgroundColor: translucent(border, 0.2) },
    { ...line, curve },
  ];
}

function tooltipText(item, tick) {
  const { curve, label } = item.dataset;
  const quartile = curve ? ` [${tick(curve.lower[item.dataIndex].y)}, ${tick(curve.upper[item.dataIndex].y)}]` : "";
  return ` ${label}: ${tick(item.parsed.y)}${quartile}`;
}

function scale(title, options = {}) {
  const muted = colour("muted");
  const line = colour("line");  // where a tick has a name
  return { grid: { color: ({ tick }) => (tick && tick.label !== "" ? line : "transparent"), drawBorder: false, drawTicks: false },
    title: { display: Boolean(title), text: title, color: muted },
    ticks: { color: muted, maxTicksLimit: 7, maxRotation: 0, padding: 6, ...options.ticks }, ...options.more };
}

/// On a log scale there is a tick for every digit: of few decades 1, 2 and 5 of each are named, else powers of ten.
function logTick(value, decades) {
  const digit = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
  if (digit !== 1 && !(decades < 2.5 && (digit === 2 || digit === 5))) return "";
  return value >= 1e-3 && value < 1e5 ? format.number(value) : value.toExponential(0).replace("e+", "e");
}

/// Options of every chart here. `tick` says a value on the vertical axis, which reaches to `top`, or as far as the
/// values do; the horizontal one reaches to `end`.
function chartOptions({ axis, tick, log, decades, zero, top, end }) {
  const vertical = scale("", {
    ticks: { callback: (value) => (log ? logTick(value, decades) : tick(value)), includeBounds: top === undefined,
      ...(log ? { maxTicksLimit: 100 } : {}) },
    more: { type: log ? "logarithmic" : "linear", beginAtZero: Boolean(zero), max: top },
  });
  return {
    animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: { x: scale(axisTitles[axis](), { more: { type: "linear", min: 0, max: end },
      ticks: { callback: (value) => format.number(value), includeBounds: false } }), y: vertical },
    plugins: {
      legend: { display: false },
      tooltip: {
        filter: (item) => !item.dataset.isBand,
        callbacks: {
          title: (items) => (items.length ? `${format.number(items[0].parsed.x)} ${axisTitles[axis]()}` : ""),
          label: (item) => tooltipText(item, tick),
        },
      },
    },
  };
}

const charts = new Map();

/// Draws on a canvas, again or for the first time.
function drawChart(canvas, datasets, options) {
  const known = charts.get(canvas.id);
  if (!known) {
    charts.set(canvas.id, new Chart(canvas, { type: "line", data: { datasets }, options }));
    return;
  }
  known.data = { datasets };
  known.options = options;
  known.update("none");
}

function figureOf(measure) {
  const id = `curve-${measure.id}`;
  if (!byId(id)) {
    const caption = element("figcaption", {}, measure.title);
    if (measure.note) caption.append(element("small", {}, measure.note));
    const canvas = element("canvas", { id, role: "img", "aria-label": measure.title });
    byId("curves").append(element("figure", {}, caption, element("div", { class: "chart" }, canvas),
      element("p", { class: "muted note" })));
  }
  return byId(id).closest("figure");
}

/// Where a curve begins, and the lowest and highest it gets.
function extentOf({ curve }) {
  const all = (points, choose) => points.reduce((y, point) => choose(y, point.y), points[0].y);
  return { start: curve.median[0].y, bottom: all(curve.lower || curve.median, Math.min),
    top: all(curve.upper || curve.median, Math.max) };
}

/// The vertical axis of a loss. Curves that rise far above where they begin, by the measure of what others fall, may
/// leave it: it is theirs that stay. Where these span more than two decades, small values would all look like none on
/// a linear scale.
function lossAxis(drawn, choice) {
  const extents = drawn.map((each) => ({ ...each, ...extentOf(each) }));
  const usual = Math.max(...extents.map(({ start, bottom }) => Math.max(start - bottom, Math.abs(start))));
  let staying = extents.filter(({ start, top }) => top - start <= 3 * usual);
  if (staying.length === 0) staying = extents;
  const highest = Math.max(...staying.map(({ top }) => top));
  const lowest = Math.min(...extents.map(({ bottom }) => bottom));
  const leaving = extents.filter((each) => !staying.includes(each));
  const positive = lowest > 0;
  const log = positive && (choice === "log" || (choice === "auto" && highest > 100 * lowest));
  const margin = log ? highest * 1.3 : highest + 0.05 * (highest - lowest);
  return { log, decades: Math.log10(highest / lowest), top: leaving.length > 0 ? margin : undefined,
    notes: [...leaving.map(({ group, top }) => `${group.label} leaves the axis: up to ${format.number(top)}.`),
      ...(choice === "log" && !positive ? ["Not all values are positive: the scale is linear."] : [])] };
}

function drawMeasure(measure, groups, state) {
  const axis = measure.axis || state.axis;
  const drawn = groups.map((group) => ({ group,
    curve: band(group.pictures.map((picture) => curveOf(picture, measure, axis))) }));
  const figure = figureOf(measure);
  figure.hidden = drawn.every(({ curve }) => curve.median.length === 0);
  if (figure.hidden) return;
  const visible = drawn.filter(({ group, curve }) => !state.off.has(group.key) && curve.median.length > 0);
  const tick = measure.tick || ((y) => format.number(y, 5));
  const vertical = measure.mayBeLog && visible.length > 0 ? lossAxis(visible, state.scale) : { log: false, notes: [] };
  const end = Math.max(...drawn.flatMap(({ curve }) => curve.median.slice(-1).map(({ x }) => x)));
  drawChart(byId(`curve-${measure.id}`), visible.flatMap(({ group, curve }) => lines(group, curve, groups.length === 1)),
    chartOptions({ axis, tick, ...vertical, zero: measure.fromZero, end }));
  figure.querySelector(".note").textContent = vertical.notes.join(" ");
}

function drawLegend(groups, state, redraw) {
  const buttons = groups.map((group) => {
    const runs = group.pictures.length > 1 ? ` (${group.pictures.length} runs)` : "";
    const button = element("button", { type: "button", "aria-pressed": String(!state.off.has(group.key)) },
      groupSwatch(group.index), group.label + runs);
    button.addEventListener("click", () => {
      if (!state.off.delete(group.key)) state.off.add(group.key);
      button.setAttribute("aria-pressed", String(!state.off.has(group.key)));
      redraw();
    });
    return button;
  });
  const texts = (nodes) => [...nodes].map((node) => node.outerHTML).join();
  if (texts(byId("legend").children) !== texts(buttons)) byId("legend").replaceChildren(...buttons);
}

function drawCurves(groups, state) {
  const redraw = () => drawCurves(groups, state);
  drawLegend(groups, state, redraw);
  for (const measure of measures) drawMeasure(measure, groups, state);
  const several = groups.some((group) => group.pictures.length > 1);
  byId("curves-note").textContent = several
    ? "Lines are medians over runs that differ only in their seed, bands reach from the lower to the upper quartile; both end where the first of the runs does."
    : "";
}
