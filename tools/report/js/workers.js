// Tables of the workers of one run, and the age of the rows.

const mostWorkersInTables = 256;

const busyTime = (worker) => worker.computing + worker.hand_over + worker.discarded + worker.unfinished;
const gradientTime = (worker) => (worker.gradients === 0 ? null
  : (worker.computing + worker.hand_over + worker.queue) / worker.gradients);

/// All of them, or evenly chosen ones, the straggler among them.
function workersInTables(picture) {
  const { workers } = picture;
  if (workers.length <= mostWorkersInTables) return workers;
  const every = workers.length / mostWorkersInTables;
  const chosen = new Set(Array.from({ length: mostWorkersInTables }, (_, i) => Math.floor(i * every)));
  chosen.add(picture.straggler.worker);
  return workers.filter(({ worker }) => chosen.has(worker));
}

const isStraggler = (picture, worker) =>
  picture.straggler.cause !== "none" && picture.straggler.worker === worker.worker;

/// Shares of a worker's time as a bar; the rest, waiting, is its ground.
function shareBar(worker) {
  const times = { ...worker, computing: worker.computing + worker.unfinished };
  const parts = activities.filter(({ name }) => name !== "waiting" && times[name] > 0);
  const share = (name) => (worker.time > 0 ? times[name] / worker.time : 0);
  const label = [...parts, { name: "waiting", title: "waiting" }]
    .map(({ name, title }) => `${title} ${format.percent(share(name))}`).join(", ");
  const bar = element("div", { class: "stack", role: "img", "aria-label": label, title: label });
  bar.append(...parts.map(({ name }) =>
    element("i", { style: `width:${100 * share(name)}%;background:${colour(name)}` })));
  return bar;
}

function drawWorkers(picture) {
  const known = picture.workers && picture.time > 0;
  byId("workers-part").hidden = !known;
  if (!known) return;
  const headings = [{ text: "worker" }, { text: "device", kind: "text" }, { text: "gradients" }, { text: "a gradient takes" },
    { text: "its time", kind: "bar" }, { text: "busy" }, { text: "idle" }, { text: "discarded" }, { text: "jobs thrown away" }];
  const rows = workersInTables(picture).map((worker) => {
    const time = gradientTime(worker);
    const busy = busyTime(worker);
    const share = (part) => format.percent(worker.time > 0 ? part / worker.time : null);
    return { marked: isStraggler(picture, worker), cells: [String(worker.worker), worker.device || "–",
      format.count(worker.gradients), time === null ? "–" : format.time(time), shareBar(worker),
      share(busy), share(worker.waiting + worker.queue),
      format.percent(busy > 0 ? worker.discarded / busy : 0), format.count(worker.discarded_jobs)] };
  });
  byId("workers").replaceChildren(table(headings, rows));
  const more = rows.length < picture.workers.length ? ` ${rows.length} of ${format.count(picture.workers.length)} workers are shown.` : "";
  byId("workers-note").textContent = `Busy and idle are shares of the run${picture.summary ? "" : " up to the worker's last job"}, discarded is a share of the busy time.${more}`;
}

/// Bars of equal width, up to `max`: at most `most`, and not so few that they would look like a wall.
function histogramBars(counts, max, most) {
  const width = Math.max(1, Math.ceil((max + 1) / most));
  const bars = new Array(Math.max(Math.floor(max / width) + 1, 16)).fill(0);
  for (const [value, count] of counts) bars[Math.floor(value / width)] += count;
  return bars;
}

function histogramSvg(worker, max) {
  const bars = histogramBars(worker.staleness.counts, max, 80);
  const highest = Math.max(...bars);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${bars.length} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `staleness of worker ${worker.worker}: median ${worker.staleness.median}, at most ${worker.staleness.max}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", bars.map((count, i) => (count === 0 ? ""
    : `M${i + 0.06} 1V${(1 - Math.max(0.06, count / highest)).toFixed(3)}h0.88V1z`)).join(""));
  path.setAttribute("fill", colour("computing"));
  svg.append(path);
  return svg;
}

function drawStaleness(picture) {
  const known = picture.workers && picture.workers.some((worker) => worker.staleness.counts.length > 0);
  byId("staleness-part").hidden = !known;
  if (!known) return;
  const max = Math.max(...picture.workers.map((worker) => worker.staleness.max));
  const range = element("span", { class: "range" }, element("span", {}, "0"), element("span", {}, format.count(Math.max(max, 15))));
  const headings = [{ text: "worker" }, { text: range, kind: "histogram" }, { text: "median" }, { text: "most" }];
  const rows = workersInTables(picture).map((worker) => ({ marked: isStraggler(picture, worker), cells: [
    String(worker.worker), worker.staleness.counts.length > 0 ? histogramSvg(worker, max) : "no gradient",
    format.count(worker.staleness.median), format.count(worker.staleness.max)] }));
  byId("staleness").replaceChildren(table(headings, rows));
}

function drawRowAges(picture, axis) {
  const ages = picture.row_ages;
  byId("rows-part").hidden = !picture.run.table;
  byId("rows-chart").hidden = !ages;
  byId("rows-note").textContent = ages
    ? "Updates since the model of the newest gradient that the table holds of a worker: the oldest row, and the mean over rows."
    : "The log holds no jobs: how old the rows were is not known.";
  if (!picture.run.table || !ages) return;
  const line = (label, column, name) => ({ label, borderColor: colour(name), backgroundColor: colour(name), borderWidth: 1.5,
    pointRadius: 0, pointHitRadius: 8, data: ages[column].map((y, i) => ({ x: ages[axis][i], y })) });
  const options = chartOptions({ axis, tick: (y) => format.number(y, 5), zero: true, end: last(ages[axis]) });
  options.plugins.legend = { display: true, labels: { color: colour("text"), boxWidth: 16, boxHeight: 2 } };
  drawChart(byId("rows"), [line("oldest", "max", "discarded"), line("mean", "mean", "computing")], options);
}
