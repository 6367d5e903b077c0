// Colours, from the style sheet: it knows the reader's theme.

const activities = [
  { name: "computing", title: "computing" },
  { name: "hand_over", title: "handing over" },
  { name: "queue", title: "queueing at the server" },
  { name: "discarded", title: "discarded" },
  { name: "waiting", title: "waiting" },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// However many groups there are, each has a look of its own: a colour, a dash that changes when the colours begin
// again, and a marker, of which there are not as many as of colours.

const groupColour = (index) => colour(`group-${index % 8}`);
const groupDash = (index) => [[], [7, 4], [2, 3], [9, 3, 2, 3]][Math.floor(index / 8) % 4];

/// As Chart.js names them, and as paths around 0 of a size of about 1.
const markers = [
  { name: "circle", path: "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0z" },
  { name: "triangle", path: "M0 -1.1L1 0.75H-1z" },
  { name: "rect", path: "M-0.8 -0.8H0.8V0.8H-0.8z" },
  { name: "rectRot", path: "M0 -1.15L1.15 0L0 1.15L-1.15 0z" },
  { name: "crossRot", path: "M-0.9 -0.9L0.9 0.9M0.9 -0.9L-0.9 0.9" },
  { name: "cross", path: "M0 -1.1V1.1M-1.1 0H1.1" },
  { name: "star", path: "M0 -1.1V1.1M-1.1 0H1.1M-0.8 -0.8L0.8 0.8M0.8 -0.8L-0.8 0.8" },
];
const groupMarker = (index) => markers[index % markers.length];

function svgElement(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/// The look of a group's curve, for legends and tables.
function groupSwatch(index) {
  const line = { stroke: groupColour(index), fill: "none", "stroke-width": 2 };
  return svgElement("svg", { class: "look", viewBox: "0 0 34 14", "aria-hidden": "true" },
    svgElement("path", { ...line, d: "M0 7H34", "stroke-dasharray": groupDash(index).join(" ") }),
    svgElement("path", { ...line, d: groupMarker(index).path, fill: groupColour(index), "stroke-width": 0.35,
      transform: "translate(17 7) scale(4.6)" }));
}
const translucent = (hex, share) => hex + Math.round(255 * share).toString(16).padStart(2, "0");

const swatch = (background) => element("span", { class: "swatch", style: `background:${background}`, "aria-hidden": "true" });

/// Calls back when the reader's theme changes.
function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}
