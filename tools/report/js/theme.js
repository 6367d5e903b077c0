// Colours, from the style sheet: it knows the reader's theme.

const activities = [
  { name: "computing", title: "computing" },
  { name: "hand_over", title: "handing over" },
  { name: "queue", title: "queueing at the server" },
  { name: "discarded", title: "discarded" },
  { name: "waiting", title: "waiting" },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const groupColour = (index) => colour(`group-${index % 8}`);
/// A second round of colours is dashed.
const groupDash = (index) => [[], [6, 4], [2, 3]][Math.floor(index / 8) % 3];
const translucent = (hex, share) => hex + Math.round(255 * share).toString(16).padStart(2, "0");

const swatch = (background) => element("span", { class: "swatch", style: `background:${background}`, "aria-hidden": "true" });

/// Calls back when the reader's theme changes.
function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}
