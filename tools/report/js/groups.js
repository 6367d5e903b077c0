// Runs that differ in nothing but their seed are one group, drawn as a median and the quartiles around it.

/// Of the run record: what is drawn by the seed, follows from the rest, or says where things lie, and when, where and
/// how it was started.
const notConfiguration = new Set(
  ["event", "seed", "command", "compute_times", "rank_of_worker", "gradient_routes", "memory_bytes", "data_dir", "table",
    "command_line", "commit", "build", "date", "host"]);

/// In virtual time it does not matter on which device of a kind a run was, and with several side by side that is
/// another for each.
const notOfVirtualTime = new Set(["device", "server_device", "server_shards", "gradient_route", "completions", "cuda_graphs"]);
const kindsOf = (devices) => [...new Set([devices].flat().map((device) => String(device).split(":")[0]))];

function settings(run) {
  const all = Object.entries(run).filter(([name]) => !notConfiguration.has(name));
  if (run.clock !== "virtual") return all;
  return all.filter(([name]) => !notOfVirtualTime.has(name))
    .map(([name, value]) => [name, name === "devices" || name === "server" ? kindsOf(value) : value]);
}

const shown = (value) => {
  const text = Array.isArray(value) ? [...new Set(value)].join(" ") : String(value);
  return text.length > 28 ? `${text.slice(0, 27)}…` : text;
};

/// Of what differs between groups: the step size first, how long they run last.
function differingSettings(runs) {
  const rank = (name) => (name === "lr" ? 0 : /^(updates|epochs|time_limit|eval_every|target_.*)$/.test(name) ? 2 : 1);
  const names = [...new Set(runs.flatMap(Object.keys))];
  return names.filter((name) => name !== "method" && new Set(runs.map((run) => JSON.stringify(run[name] ?? null))).size > 1)
    .sort((a, b) => rank(a) - rank(b));
}

/// The method, and as many settings as it takes to tell the groups apart; the step size, if it differs at all.
function labelsOf(records) {
  const runs = records.map((record) => Object.fromEntries(settings(record)));
  const names = differingSettings(runs);
  const label = (run, count) => [run.method, ...names.slice(0, count)
    .filter((name) => run[name] !== null && run[name] !== undefined && run[name] !== "")
    .map((name) => `${name.replaceAll("_", " ")} ${shown(run[name])}`)].join(", ");
  let count = names[0] === "lr" ? 1 : 0;
  while (count < names.length && new Set(runs.map((run) => label(run, count))).size < runs.length) ++count;
  return runs.map((run) => label(run, count));
}

/// [{label, pictures, index, key}], in the order of their first runs.
function groupRuns(pictures) {
  const groups = new Map();
  for (const picture of pictures) {
    const key = JSON.stringify(settings(picture.run));
    if (!groups.has(key)) groups.set(key, { key, pictures: [], index: groups.size });
    groups.get(key).pictures.push(picture);
  }
  const all = [...groups.values()];
  const labels = labelsOf(all.map((group) => group.pictures[0].run));
  return all.map((group, i) => ({ ...group, label: labels[i] }));
}

function runLabel(group, picture) {
  const alike = group.pictures.filter((other) => other.run.seed === picture.run.seed);
  const repeat = alike.length > 1 ? `, run ${alike.indexOf(picture) + 1}` : "";
  return `${group.label}, seed ${picture.run.seed}${repeat}`;
}

/// Of a sample without gaps, linear between its values.
function quartiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.25, 0.5, 0.75].map((share) => {
    const position = share * (sorted.length - 1);
    const below = Math.floor(position);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
  });
}

/// Between neighbouring points of a curve; the curve covers x.
function valueAt(points, x) {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle].x <= x) low = middle; else high = middle;
  }
  const [a, b] = [points[low], points[high]];
  if (x >= b.x) return b.y;
  if (x <= a.x || b.x === a.x) return a.y;
  return a.y + ((x - a.x) / (b.x - a.x)) * (b.y - a.y);
}

/// Curves of several runs as {median, lower, upper}, where all of them have values: it ends with the first.
function band(curves) {
  const filled = curves.filter((points) => points.length > 0);
  if (filled.length < 2) return { median: filled[0] || [], lower: null, upper: null };
  const from = Math.max(...filled.map((points) => points[0].x));
  const to = Math.min(...filled.map((points) => points[points.length - 1].x));
  let places = [...new Set(filled.flatMap((points) => points.map((point) => point.x)))]
    .filter((x) => x >= from && x <= to).sort((a, b) => a - b);
  const every = Math.ceil(places.length / 400);
  places = places.filter((x, i) => i % every === 0 || i === places.length - 1);
  const result = { median: [], lower: [], upper: [] };
  for (const x of places) {
    const [lower, median, upper] = quartiles(filled.map((points) => valueAt(points, x)));
    result.lower.push({ x, y: lower });
    result.median.push({ x, y: median });
    result.upper.push({ x, y: upper });
  }
  return result;
}
