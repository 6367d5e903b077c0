// Words and tables: results, the straggler, the configuration.

const stopReasons = {
  "updates": "did all its updates", "epochs": "did all its epochs", "time-limit": "ended by its time limit",
  "target-accuracy": "reached its target accuracy", "target-loss": "reached its target loss",
  "target-gradient-norm-sq": "reached its target gradient norm",
  "end-of-recording": "ended with its recording", "interrupted": "was interrupted",
};

/// Of one run, in the end or so far.
function results(picture) {
  const { summary, evaluations, workers } = picture;
  const total = (of) => workers.reduce((sum, worker) => sum + of(worker), 0);
  const busy = workers ? total(busyTime) : 0;
  const known = workers ? total((worker) => worker.time) : 0;
  return {
    accuracy: summary ? summary.accuracy : last(evaluations.accuracy),
    loss: summary ? summary.loss : last(evaluations.loss),
    time: picture.time, updates: picture.updates, gradients: picture.gradients,
    idle: summary ? summary.idle_share : known > 0 ? 1 - busy / known : null,
    discarded: summary ? summary.discarded_share : busy > 0 ? total((worker) => worker.discarded) / busy : null,
    staleness: summary ? summary.staleness_max : workers ? Math.max(...workers.map(({ staleness }) => staleness.max)) : null,
  };
}

function drawResults(groups) {
  const columns = [["accuracy", (v) => format.percent(v, 2)], ["loss", format.number], ["time", format.time],
    ["updates", format.number], ["gradients", format.number], ["idle", format.percent], ["discarded", format.percent],
    ["staleness", format.number]];
  const titles = { staleness: "most stale" };
  const is = (value) => value !== null && value !== undefined;
  const kept = columns.filter(([name]) =>
    groups.some((group) => group.pictures.some((picture) => is(results(picture)[name]))));
  const headings = [{ text: "runs", kind: "text" }, ...kept.map(([name]) => ({ text: titles[name] || name })), { text: "seeds" }];
  const rows = groups.map((group) => {
    const all = group.pictures.map(results);
    const head = element("span", { class: "name" }, groupSwatch(group.index), element("span", {}, group.label));
    return { cells: [head,
      ...kept.map(([name, text]) => format.spread(all.map((result) => result[name]), (value) => text(value))),
      String(group.pictures.length)] };
  });
  byId("results").replaceChildren(table(headings, rows));
  byId("results-note").textContent = groups.some((group) => group.pictures.length > 1)
    ? "Medians over seeds, [lower quartile, upper quartile]." : "";
}

function list(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

function drawHeader(groups, pictures, live) {
  const { run } = pictures[0];
  const methods = [...new Set(pictures.map((picture) => picture.run.method))];
  const problems = [...new Set(pictures.map((picture) =>
    (picture.run.dataset ? `${picture.run.model} on ${picture.run.dataset}` : picture.run.model)))];
  const who = methods.length > 6 ? `${methods.length} methods` : list(methods);
  byId("title").textContent = `${who}: ${list(problems)}`;
  document.title = `${live ? "live: " : ""}${who}: tardigrad report`;
  const workers = [...new Set(pictures.map((picture) => format.count(picture.run.workers)))];
  const facts = [pictures.length === 1 ? "one run" : `${pictures.length} runs in ${groups.length} ${groups.length === 1 ? "group" : "groups"}`,
    `${list(workers)} workers`, run.clock === "virtual" ? "virtual time" : "wall time"];
  if (run.devices) facts.push(list([...new Set(pictures.flatMap((picture) => picture.run.devices || []))].slice(0, 8)));
  if (run.version) facts.push(`version ${[...new Set(pictures.map((picture) => picture.run.version))].join(", ")}`);
  byId("facts").textContent = facts.join(" · ");
}

const causes = {
  compute: "because it computes longer",
  transfer: "because handing the model over to it takes longer",
  queue: "because its gradients wait longer until the server takes them up",
};

const sum = (time) => time.computing + time.hand_over + time.queue;

function verdict(picture) {
  const { straggler, workers } = picture;
  const name = `Worker ${straggler.worker}`;
  if (straggler.cause === "unfinished") {
    const thrown = straggler.discarded_jobs > 0 ? `; ${format.count(straggler.discarded_jobs)} of its jobs were thrown away` : "";
    return `${name} is the straggler: none of its gradients arrived in ${format.time(picture.time)}${thrown}.`;
  }
  if (straggler.times_median === 0) return "Not enough gradients yet to tell.";
  const times = `${format.number(straggler.times_median, 3)} times as long as the median worker`;
  if (straggler.cause !== "none") {
    return `${name} is the straggler: a gradient takes it ${format.time(sum(straggler.time))}, ${times}, ${causes[straggler.cause]}.`;
  }
  return workers.length === 1 ? "There is but one worker."
    : `None stands out: the slowest worker, ${straggler.worker}, takes ${times} for a gradient.`;
}

/// What it costs, as far as the data says.
function costs(picture) {
  const { straggler, workers } = picture;
  const without = workers.filter(({ gradients }) => gradients === 0).length;
  if (straggler.cause === "none") {
    return without === 0 ? [] : [`${format.count(without)} of ${format.count(workers.length)} workers made no gradient that arrived.`];
  }
  const others = workers.filter(({ worker }) => worker !== straggler.worker);
  const lines = [];
  if (straggler.cause !== "unfinished") {
    lines.push(`It makes ${format.percent(straggler.gradients_share)} of the gradients; an even share would be ${format.percent(1 / workers.length)}.`);
    const median = quartiles(others.map(({ staleness }) => staleness.median))[1];
    const stale = workers.some(({ staleness }) => staleness.max > 0);
    if (stale) lines.push(`Its gradients are ${format.count(straggler.staleness_median)} updates old at the median, at most ${format.count(straggler.staleness_max)}; the median of the others is ${format.number(median)}.`);
  }
  lines.push(`The other workers are idle ${format.percent(straggler.others_idle_share)} of the time, it itself ${format.percent(straggler.idle_share)}.`);
  if (straggler.discarded_jobs > 0) lines.push(`${format.count(straggler.discarded_jobs)} of its jobs were thrown away.`);
  return lines;
}

function drawStraggler(picture) {
  byId("straggler").hidden = !picture.straggler;
  if (!picture.straggler) return;
  const { straggler, workers } = picture;
  byId("straggler-text").textContent = verdict(picture);
  const parts = [["computing", "computing"], ["hand_over", "handing over"], ["queue", "queueing at the server"]];
  const recorded = parts.filter(([name]) => straggler.time[name] > 0 || straggler.median[name] > 0);
  const rows = recorded.map(([name, title]) => ({ cells: [title, format.time(straggler.time[name]),
    format.percent(straggler.time[name] / sum(straggler.time)), format.time(straggler.median[name])] }));
  const known = straggler.times_median > 0;
  byId("straggler-times").replaceChildren(...(known ? [table([{ text: "a gradient's time", kind: "text" },
    { text: `worker ${straggler.worker}` }, { text: "share" }, { text: "median worker" }], rows)] : []));
  const lines = workers.length > 1 ? costs(picture) : [];
  byId("straggler-cost").replaceChildren(...lines.map((line) => element("li", {}, line)));
}

/// What the log lacks.
function drawRunNote(picture, live) {
  const notes = [];
  if (!picture.summary && !live) notes.push("This log has no end: the run was killed, or still goes on. What follows is as far as it got.");
  if (!picture.told.jobs && !live) {
    const lacks = picture.summary ? "no timeline and no ages of rows; the workers' times are those of its summary" : "nothing is known of the workers";
    notes.push(`The log holds no jobs (--log-detail): ${lacks}.`);
  }
  if (picture.evaluations.time.length === 0) notes.push("It holds no evaluation.");
  byId("run-end").textContent = picture.summary ? `It ${stopReasons[picture.summary.stop_reason] || "ended"}.` : "";
  byId("run-note").textContent = notes.join(" ");
  byId("run-note").hidden = notes.length === 0;
}

function drawWarnings({ warnings }) {
  byId("warnings").hidden = warnings.length === 0;
  byId("warnings").replaceChildren(...warnings.map(({ time, text }) => element("li", {}, `At ${format.time(time)}: ${text}`)));
}

function drawConfiguration({ run }) {
  const key = JSON.stringify(run);
  if (byId("configuration").dataset.run === key) return;  // what the reader has selected stays selected
  byId("configuration").dataset.run = key;
  byId("copy").textContent = "Copy";
  byId("command").textContent = run.command || "";
  byId("command-note").textContent = run.command ? "This repeats the run:" : "The log does not say the command that repeats it.";
  byId("command").parentElement.hidden = !run.command;
  const text = (value) => (value === null || value === "" ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const rows = Object.entries(run).filter(([name]) => name !== "event" && name !== "command")
    .map(([name, value]) => ({ cells: [name.replaceAll("_", " "), text(value)] }));
  byId("configuration").replaceChildren(table([{ text: "setting", kind: "text" }, { text: "value", kind: "text" }], rows,
    { class: "configuration" }));
}
