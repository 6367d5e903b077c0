// The timeline on its canvas: painting, and moving about in it.

const gutter = 38;  // left of the rows, for the workers' numbers

const timelineState = {
  views: new Map(),  // of a run, where it is not the whole run
  run: null,         // key of the run shown
  timeline: null,
  straggler: null,
  rowHeight: 20,
};

function wholeView() {
  return { from: 0, to: Math.max(timelineState.timeline.end, 1e-9) };
}

function currentView() {
  return timelineState.views.get(timelineState.run) || wholeView();
}

/// Kept inside the run, and wide enough that there is something to see.
function setView(from, to) {
  const whole = wholeView();
  const width = Math.min(Math.max(to - from, whole.to * 1e-6), whole.to);
  if (width >= whole.to * 0.9999) {
    timelineState.views.delete(timelineState.run);
  } else {
    const start = Math.min(Math.max(from, 0), whole.to - width);
    timelineState.views.set(timelineState.run, { from: start, to: start + width });
  }
  requestPaint();
}

/// `at`: the time that stays where it is; the middle, if not said.
function zoom(factor, at) {
  const { from, to } = currentView();
  const fixed = at ?? (from + to) / 2;
  setView(fixed - (fixed - from) / factor, fixed + (to - fixed) / factor);
}

function pan(share) {
  const { from, to } = currentView();
  setView(from + share * (to - from), to + share * (to - from));
}

let paintRequested = false;
function requestPaint() {
  if (paintRequested) return;
  paintRequested = true;
  requestAnimationFrame(() => {
    paintRequested = false;
    if (timelineState.timeline) paintTimeline();
  });
}

/// A canvas of that height in CSS pixels, as sharp as the screen; its context draws in CSS pixels.
function prepareCanvas(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return { context, ratio };
}

/// "#rrggbb" as ImageData has it in memory.
function pixelOf(hex) {
  const value = parseInt(hex.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/// A row of pixels. Where much happens in a column, activities lie on one another, as high as their shares;
/// elsewhere it has the colour of what takes most of it.
function paintRow(image, width, height, times, colours) {
  for (let x = 0; x < width; ++x) {
    const shares = times.sums.subarray(x * spanKinds, (x + 1) * spanKinds);
    const known = shares.reduce((total, share) => total + share, 0);
    if (known < 0.02 * times.pixel) continue;
    const most = times.crowd[x] < crowded ? shares.indexOf(Math.max(...shares)) : -1;
    let below = 0;
    let painted = 0;
    for (let kind = 0; kind < spanKinds; ++kind) {
      below += most < 0 ? shares[kind] / known : Number(kind === most);
      const top = Math.round(below * height);
      for (; painted < top; ++painted) image[(height - 1 - painted) * width + x] = colours[kind];
    }
  }
}

/// Where jobs follow one another: a hairline before each that is wide enough.
function paintJobEdges(context, row, view, top, height) {
  const pixel = (view.to - view.from) / (byId("timeline").clientWidth - gutter);
  context.fillStyle = translucent(colour("page"), 0.6);
  for (const { jobs } of row.pieces) {
    for (let i = firstJobAfter(jobs, view.from); i < jobs.length && jobs[i].start < view.to; ++i) {
      if (jobs[i].start <= view.from || jobs[i].end - jobs[i].start < 8 * pixel) continue;
      context.fillRect(gutter + Math.round((jobs[i].start - view.from) / pixel) - 0.5, top, 1, height);
    }
  }
}

function paintTimeline() {
  const { timeline, rowHeight } = timelineState;
  const canvas = byId("timeline");
  const { context, ratio } = prepareCanvas(canvas, timeline.rows.length * rowHeight);
  const width = Math.max(1, canvas.width - Math.round(gutter * ratio));
  const view = currentView();
  const colours = activities.map(({ name }) => pixelOf(colour(name)));
  const gap = rowHeight >= 10 ? 3 : 1;
  const height = Math.max(1, Math.round((rowHeight - gap) * ratio));
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  timeline.rows.forEach((row, i) => {
    pixels.fill(0);
    paintRow(pixels, width, height, pixelTimes(timeline, row, view, width), colours);
    context.putImageData(image, Math.round(gutter * ratio), Math.round(i * rowHeight * ratio));
    paintJobEdges(context, row, view, i * rowHeight, rowHeight - gap);
  });
  paintLabels(context);
  paintAxis(view);
  byId("timeline-span").textContent = timelineState.views.has(timelineState.run)
    ? `${format.time(view.from)} to ${format.time(view.to)}` : "";
}

function paintLabels(context) {
  const { timeline, rowHeight, straggler } = timelineState;
  const every = Math.ceil(12 / rowHeight);
  context.textAlign = "right";
  context.textBaseline = "middle";
  timeline.rows.forEach((row, i) => {
    const marked = row.worker === straggler;
    const besideMarked = every > 1 && Math.abs(row.worker - straggler) <= every && straggler !== null;
    if (!marked && (i % every !== 0 || besideMarked)) return;
    context.fillStyle = colour(marked ? "text" : "muted");
    context.font = context.font.replace(/^(bold )?/, marked ? "bold " : "");
    context.fillText(String(row.worker), gutter - 8, Math.max(6, i * rowHeight + (rowHeight - 2) / 2));
  });
}

/// 1, 2 or 5 times a power of ten: the first that leaves room for `most` ticks.
function tickStep(span, most) {
  const step = 10 ** Math.floor(Math.log10(span / most));
  return [1, 2, 5, 10].map((times) => times * step).find((candidate) => span / candidate <= most);
}

function paintAxis({ from, to }) {
  const canvas = byId("timeline-axis");
  const { context } = prepareCanvas(canvas, 24);
  const width = canvas.clientWidth - gutter;
  const step = tickStep(to - from, Math.max(2, Math.floor(width / 90)));
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  context.fillStyle = colour("muted");
  context.textAlign = "center";
  for (let i = Math.ceil(from / step); i * step <= to; ++i) {
    const x = gutter + ((i * step - from) / (to - from)) * width;
    const shown = Math.min(digits, 9);
    const text = (i * step).toLocaleString("en", { minimumFractionDigits: shown, maximumFractionDigits: shown }) + (format.clock === "virtual" ? "" : " s");
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(x, gutter + half), gutter + width - half), 12);
    context.fillRect(Math.round(x), 18, 1, 6);
  }
}

/// Where a place on the canvas is between the beginning of the view, 0, and its end, 1.
function shareAt(clientX) {
  const box = byId("timeline").getBoundingClientRect();
  return (clientX - box.left - gutter) / (box.width - gutter);
}

function timeAt(clientX) {
  const { from, to } = currentView();
  return from + shareAt(clientX) * (to - from);
}

function describe(row, time) {
  const found = activityAt(timelineState.timeline, row, time);
  const head = `worker ${row.worker} at ${format.time(time)}`;
  if (!found) return `${head}\n(not kept job by job)`;
  const { activity, job, unfinished } = found;
  const title = activities.find(({ name }) => name === activity).title;
  if (unfinished) return `${head}: ${title}\nThe run ended before this job did.`;
  if (!job) return `${head}: ${title}`;
  const parts = [`${head}: ${title}`, `job ${job.job} of model version ${job.version}`,
    `took ${format.time(job.end - job.start)}`];
  if (job.begun > job.start) parts.push(`of it handing over ${format.time(job.begun - job.start)}`);
  if (job.taken > job.end) parts.push(`then queued ${format.time(job.taken - job.end)}`);
  parts.push(job.discarded ? "thrown away" : `staleness ${format.count(job.staleness)}`);
  return parts.join("\n");
}

function showTip(event) {
  const box = byId("timeline").getBoundingClientRect();
  const tip = byId("timeline-tip");
  const row = timelineState.timeline.rows[Math.floor((event.clientY - box.top) / timelineState.rowHeight)];
  const time = timeAt(event.clientX);
  tip.hidden = !row || time < currentView().from || time > currentView().to;
  if (tip.hidden) return;
  tip.textContent = describe(row, time);
  const x = event.clientX - box.left;
  const y = event.clientY - box.top;
  tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth))}px`;
  const below = y + 18 + tip.offsetHeight < byId("timeline-scroll").scrollTop + byId("timeline-scroll").clientHeight;
  tip.style.top = `${below ? y + 18 : Math.max(0, y - tip.offsetHeight - 10)}px`;
}

/// One pointer drags; two pinch. What is under them, or in their middle, stays there.
function addPointers(canvas) {
  const pointers = new Map();
  const grip = () => {
    const places = [...pointers.values()];
    const [a, b] = [places[0], places[places.length - 1]];
    return { middle: (a + b) / 2, width: Math.max(20, Math.abs(a - b)) };
  };
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event.clientX);
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("dragged");
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return showTip(event);
    byId("timeline-tip").hidden = true;
    const before = grip();
    const held = timeAt(before.middle);
    pointers.set(event.pointerId, event.clientX);
    const after = grip();
    const { from, to } = currentView();
    const width = (to - from) * (before.width / after.width);
    const start = held - shareAt(after.middle) * width;
    setView(start, start + width);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      if (pointers.size === 0) canvas.classList.remove("dragged");
      if (event.pointerType === "touch" && end === "pointerup") showTip(event);
    });
  }
  canvas.addEventListener("pointerleave", () => { byId("timeline-tip").hidden = true; });
}

function onWheel(event) {
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    pan(event.deltaX / byId("timeline").clientWidth);
  } else if (event.ctrlKey || event.metaKey || document.activeElement === byId("timeline")) {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), timeAt(event.clientX));
  }
}

function onKey(event) {
  const actions = { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": zoomAll,
    ArrowLeft: () => pan(-0.1), ArrowRight: () => pan(0.1), Home: () => pan(-1e9), End: () => pan(1e9) };
  if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function zoomAll() {
  timelineState.views.delete(timelineState.run);
  requestPaint();
}

/// Once.
function setUpTimeline() {
  const canvas = byId("timeline");
  addPointers(canvas);
  canvas.addEventListener("wheel", onWheel, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2, timeAt(event.clientX)));
  canvas.addEventListener("keydown", onKey);
  byId("zoom-in").addEventListener("click", () => zoom(2));
  byId("zoom-out").addEventListener("click", () => zoom(0.5));
  byId("pan-left").addEventListener("click", () => pan(-0.25));
  byId("pan-right").addEventListener("click", () => pan(0.25));
  byId("zoom-all").addEventListener("click", zoomAll);
  new ResizeObserver(requestPaint).observe(byId("timeline-scroll"));
}

function drawActivities(picture) {
  const there = (name) => name === "waiting" || picture.workers.some((worker) => worker[name] > 0);
  byId("activities").replaceChildren(...activities.filter(({ name }) => there(name)).map(({ name, title }) =>
    element("li", {}, swatch(colour(name)), title)));
}

function drawTimeline(picture, runKey) {
  byId("timeline-part").hidden = picture.timeline === null;
  timelineState.timeline = null;
  if (!picture.timeline) return;
  timelineState.timeline = decodeTimeline(picture);
  timelineState.run = runKey;
  timelineState.straggler = picture.straggler.cause === "none" ? null : picture.straggler.worker;
  const rows = timelineState.timeline.rows.length;
  timelineState.rowHeight = Math.min(24, Math.max(4, Math.floor(480 / rows)));
  byId("timeline").setAttribute("aria-label",
    `What ${rows} workers did from 0 to ${format.time(picture.time)}; the table below sums it up`);
  const notes = [];
  if (rows < picture.workers.length) notes.push(`${rows} of ${format.count(picture.workers.length)} workers are shown.`);
  if (picture.timeline.cells) {
    notes.push(`Of ${format.count(picture.timeline.jobs)} jobs the first and the last 4,096 are kept one by one; in between the shares of ${format.time(picture.timeline.cells.width)} each.`);
  }
  byId("timeline-note").textContent = notes.join(" ");
  drawActivities(picture);
  requestPaint();
}
