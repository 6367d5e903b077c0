// What a timeline shows, decoded, and how much of a pixel's time each activity takes.

const spans = { computing: 0, hand_over: 1, queue: 2, discarded: 3, waiting: 4 };
const spanKinds = 5;
const crowded = 5;  // spans in a pixel: fewer are the edges between some that are wide

/// The jobs of a window's row: times instead of ticks and differences.
function decodeJobs(columns, tick) {
  const discarded = new Set(columns.discarded);
  const jobs = [];
  let end = columns.end;
  let version = 0;
  for (let i = 0; i < columns.gap.length; ++i) {
    const start = end + columns.gap[i];
    end = start + columns.busy[i];
    version += columns.version[i];
    jobs.push({ job: columns.job + i, start: start * tick, begun: (start + columns.hand_over[i]) * tick, end: end * tick,
      taken: (end + columns.queue[i]) * tick, version, staleness: columns.staleness[i], discarded: discarded.has(i) });
  }
  return jobs;
}

/// Rows {worker, pieces: [{from, to, jobs}], until, unfinished}; a piece knows all that the worker did in it.
function decodeTimeline(picture) {
  const { timeline } = picture;
  const rows = timeline.rows.map(({ worker, until, unfinished }, index) => {
    const pieces = [];
    for (const { from, rows: windowRows } of timeline.windows) {
      if (!windowRows[index]) continue;
      const jobs = decodeJobs(windowRows[index], timeline.tick);
      pieces.push({ from: Math.min(from, jobs[0].start), to: jobs[jobs.length - 1].taken, jobs });
    }
    return { worker, until, unfinished, pieces, cells: timeline.cells?.rows[index] };
  });
  return { rows, cellWidth: timeline.cells?.width, end: picture.time, ended: picture.summary !== null };
}

/// Sums time into `sums`, spanKinds numbers a pixel, and counts in `crowd` what meets in a pixel.
class PixelTimes {
  constructor(view, width) {
    this.from = view.from;
    this.to = view.to;
    this.pixel = (view.to - view.from) / width;
    this.width = width;
    this.sums = new Float64Array(width * spanKinds);
    this.crowd = new Uint32Array(width);
  }

  add(kind, from, to, share = 1) {
    const begin = Math.max(from, this.from);
    const end = Math.min(to, this.to);
    if (!(end > begin)) return;
    const first = Math.floor((begin - this.from) / this.pixel);
    const last = Math.min(Math.floor((end - this.from) / this.pixel), this.width - 1);
    for (let x = first; x <= last; ++x) {
      const left = this.from + x * this.pixel;
      this.crowd[x] += share < 1 ? crowded : 1;
      this.sums[x * spanKinds + kind] += share * (Math.min(end, left + this.pixel) - Math.max(begin, left));
    }
  }
}

/// Of jobs in their order, the first that is taken up after that time.
function firstJobAfter(jobs, time) {
  let low = 0;
  let high = jobs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (jobs[middle].taken < time) low = middle + 1; else high = middle;
  }
  return low;
}

function addPiece(times, piece) {
  const { jobs } = piece;
  let i = firstJobAfter(jobs, times.from);
  let free = i > 0 ? jobs[i - 1].taken : piece.from;
  for (; i < jobs.length && free < times.to; ++i) {
    const job = jobs[i];
    times.add(spans.waiting, free, job.start);
    times.add(spans.hand_over, job.start, job.begun);
    times.add(job.discarded ? spans.discarded : spans.computing, job.begun, job.end);
    times.add(spans.queue, job.end, job.taken);
    free = job.taken;
  }
}

/// Cells between two times, the shares of which are thousandths.
function addCells(times, row, width, from, to) {
  const first = Math.max(0, Math.floor(Math.max(from, times.from) / width));
  const end = Math.min(to, times.to);
  for (let i = first; i * width < end; ++i) {
    const begin = Math.max(from, i * width);
    const stop = Math.min(to, (i + 1) * width);
    let busy = 0;
    for (const [name, shares] of Object.entries(row.cells)) {
      const share = (shares[i] || 0) / 1000;
      times.add(spans[name], begin, stop, share);
      busy += share;
    }
    times.add(spans.waiting, begin, stop, Math.max(0, 1 - busy));
  }
}

/// What a row's worker did in the view, by pixel. What is not known stays empty.
function pixelTimes(timeline, row, view, width) {
  const times = new PixelTimes(view, width);
  let known = 0;
  for (const piece of row.pieces) {
    if (piece.from > known && row.cells) addCells(times, row, timeline.cellWidth, known, piece.from);
    addPiece(times, piece);
    known = Math.max(known, piece.to);
  }
  if (row.cells && row.until > known) {
    addCells(times, row, timeline.cellWidth, known, row.until);
    known = row.until;
  }
  if (timeline.ended) {
    times.add(spans.waiting, known, row.unfinished ?? timeline.end);
    if (row.unfinished !== null) times.add(spans.computing, row.unfinished, timeline.end);
  }
  return times;
}

/// {activity, job} at a time; nothing where it is not known.
function activityAt(timeline, row, time) {
  for (const piece of row.pieces) {
    if (time < piece.from || time >= piece.to) continue;
    const job = piece.jobs[firstJobAfter(piece.jobs, time)];
    if (!job || time < job.start) return { activity: "waiting" };
    if (time >= job.end) return { activity: "queue", job };
    if (job.discarded) return { activity: "discarded", job };
    return { activity: time < job.begun ? "hand_over" : "computing", job };
  }
  if (timeline.ended && row.unfinished !== null && time >= row.unfinished) return { activity: "computing", unfinished: true };
  if (timeline.ended && time >= row.until) return { activity: "waiting" };
  return null;
}
