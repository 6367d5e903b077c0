// Puts it together: render(data) draws everything, as often as there is newer data.

const state = { data: null, axis: "time", scale: "auto", off: new Set(), run: null };

function chooseRun(groups) {
  const choices = groups.flatMap((group) => group.pictures.map((picture) => ({ picture, label: runLabel(group, picture) })));
  const select = byId("run");
  const labels = choices.map(({ label }) => label);
  if ([...select.options].map((option) => option.text).join("\n") !== labels.join("\n")) {
    select.replaceChildren(...labels.map((label, i) => element("option", { value: String(i) }, label)));
    state.run = null;
  }
  byId("run-choice").hidden = choices.length < 2;
  state.run ??= 0;
  select.value = String(state.run);
  return choices[state.run].picture;
}

function renderRun(picture, live) {
  drawRunNote(picture, live);
  drawWarnings(picture);
  drawStraggler(picture);
  drawTimeline(picture, state.run);
  drawWorkers(picture);
  drawStaleness(picture);
  drawRowAges(picture, state.axis);
  drawConfiguration(picture);
}

function render(data) {
  state.data = data;
  const pictures = data.runs;
  if (pictures.length === 0) {
    byId("title").textContent = "No runs yet";
    return;
  }
  format.clock = pictures[0].run.clock;
  const groups = groupRuns(pictures);
  drawHeader(groups, pictures, data.live);
  drawResults(groups);
  drawCurves(groups, state);
  renderRun(chooseRun(groups), data.live);
}

function again() {
  render(state.data);
}

function showLive(text, kind) {
  const badge = byId("live");
  badge.hidden = false;
  badge.textContent = text;
  badge.className = `badge ${kind}`;
}

/// Newer data, whole, until some that is not live.
function follow() {
  showLive("live", "");
  const events = new EventSource(`events${location.search}`);  // with the token, where the page has one
  events.onmessage = (event) => {
    const data = JSON.parse(event.data);
    render(data);
    if (data.live) return showLive("live", "");
    events.close();
    showLive("the run has ended", "ended");
  };
  events.onerror = () => showLive("connection lost; trying again", "lost");
}

async function copyCommand() {
  const text = byId("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
    byId("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("command"));  // the reader's own copy does the rest
  }
}

function setUpControls() {
  for (const input of document.querySelectorAll("input[name=axis]")) {
    input.addEventListener("change", () => { state.axis = input.value; again(); });
  }
  for (const input of document.querySelectorAll("input[name=scale]")) {
    input.addEventListener("change", () => { state.scale = input.value; again(); });
  }
  byId("run").addEventListener("change", (event) => { state.run = Number(event.target.value); again(); });
  byId("copy").addEventListener("click", copyCommand);
  setUpTimeline();
  onThemeChange(again);
}

Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
setUpControls();
render(JSON.parse(byId("data").textContent));
if (state.data.live) follow();
