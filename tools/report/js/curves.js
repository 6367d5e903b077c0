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

function lines(group, curve) {
  const border = groupColour(group.index);
  const line = { label: group.label, data: curve.median, borderColor: border, backgroundColor: border, borderWidth: 2,
    borderDash: groupDash(group.index), pointRadius: curve.median.length <= 40 ? 2 : 0, pointHitRadius: 8 };
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
  return { grid: { color: colour("line"), drawBorder: false, drawTicks: false },
    title: { display: Boolean(title), text: title, color: muted },
    ticks: { color: muted, maxTicksLimit: 7, maxRotation: 0, padding: 6, ...options.ticks }, ...options.more };
}

/// Options of every chart here. `tick` says a value on the vertical axis; the horizontal one reaches to `end`.
function chartOptions({ axis, tick, log, zero, end }) {
  const vertical = scale("", {
    ticks: { callback: (value) => tick(value) },
    more: { type: log ? "logarithmic" : "linear", beginAtZero: Boolean(zero) },
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
    byId("curves").append(element("figure", {}, caption, element("div", { class: "chart" }, canvas)));
  }
  return byId(id).closest("figure");
}

function drawMeasure(measure, groups, state) {
  const axis = measure.axis || state.axis;
  const drawn = groups.map((group) => ({ group,
    curve: band(group.pictures.map((picture) => curveOf(picture, measure, axis))) }));
  const figure = figureOf(measure);
  figure.hidden = drawn.every(({ curve }) => curve.median.length === 0);
  if (figure.hidden) return;
  const visible = drawn.filter(({ group }) => !state.off.has(group.key));
  const tick = measure.tick || ((y) => format.number(y, 5));
  const positive = visible.every(({ curve }) => (curve.lower || curve.median).every(({ y }) => y > 0));
  const log = Boolean(measure.mayBeLog && state.log && positive);
  const end = Math.max(...drawn.flatMap(({ curve }) => curve.median.slice(-1).map(({ x }) => x)));
  drawChart(byId(`curve-${measure.id}`), visible.flatMap(({ group, curve }) => lines(group, curve)),
    chartOptions({ axis, tick, log, zero: measure.fromZero, end }));
}

function drawLegend(groups, state, redraw) {
  const buttons = groups.map((group) => {
    const runs = group.pictures.length > 1 ? ` (${group.pictures.length} runs)` : "";
    const button = element("button", { type: "button", "aria-pressed": String(!state.off.has(group.key)) },
      swatch(groupColour(group.index)), group.label + runs);
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
