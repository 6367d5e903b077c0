// The picture of `tardigrad data`: a page with a matrix of workers and classes.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tools/data/describe_data.h"

namespace tardigrad {
namespace {

constexpr double cell = 18;       // pixels
constexpr double least_cell = 3;  // of many
constexpr double most_side = 1400;
constexpr double margin = 110;  // for names

constexpr const char* head =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<style>\n"
    ":root {{ color-scheme: light dark; --page: #fbfbfa; --text: #1a1e23; --line: #dfe3e8; --fill: #0072b2; "
    "}}\n"
    "@media (prefers-color-scheme: dark) {{\n"
    "  :root {{ --page: #101316; --text: #e4e8eb; --line: #2c333a; --fill: #56b4e9; }}\n"
    "}}\n"
    "body {{ margin: 1.5rem; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, "
    "sans-serif; }}\n"
    "svg {{ font: 11px system-ui, sans-serif; }}\n"
    "text {{ fill: var(--text); }} rect {{ fill: var(--fill); stroke: var(--line); }}\n"
    "</style></head>\n<body>\n<h1>Who has what</h1>\n<p>{0}</p>\n"
    "<p>Each row is a worker, each column a class; the darker, the larger the share that the class has of "
    "the\n"
    "worker's training examples. A cell says its numbers where it is pointed at.</p>\n";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

/// Of so many, that they find room.
double side_of_cell(std::size_t count) {
  return std::clamp(most_side / static_cast<double>(count), least_cell, cell);
}

/// Every how many rows or columns have their names beside them.
std::size_t stride_of_names(double side) { return side >= 12 ? 1 : static_cast<std::size_t>(12 / side) + 1; }

std::string draw_names(const SharedOutData& shared, double width, double height) {
  std::string svg;
  const std::size_t column_stride = stride_of_names(width);
  for (std::size_t c = 0; c < shared.class_names.size(); c += column_stride) {
    const double x = margin + (static_cast<double>(c) + 0.7) * width;
    svg += fmt::format("<text transform=\"translate({:.1f} {:.1f}) rotate(-60)\">{}</text>\n", x, margin - 6,
                       escaped(shared.class_names[c]));
  }
  const std::size_t row_stride = stride_of_names(height);
  for (std::size_t w = 0; w < shared.counts.size(); w += row_stride) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">worker {}</text>\n", margin - 6,
                       margin + (static_cast<double>(w) + 0.75) * height, w);
  }
  return svg;
}

std::string draw_cells(const SharedOutData& shared, double width, double height) {
  std::string svg;
  for (std::size_t w = 0; w < shared.counts.size(); ++w) {
    const auto& counts = shared.counts[w];
    const auto all = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    for (std::size_t c = 0; c < counts.size(); ++c) {
      if (counts[c] == 0) continue;
      const double share = static_cast<double>(counts[c]) / static_cast<double>(all);
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill-opacity=\"{:.3f}\">"
          "<title>worker {}, {}: {} examples, {:.1f} % of its own</title></rect>\n",
          margin + static_cast<double>(c) * width, margin + static_cast<double>(w) * height, width, height,
          0.1 + 0.9 * share, w, escaped(shared.class_names[c]), counts[c], 100 * share);
    }
  }
  return svg;
}

}  // namespace

std::string data_page(const std::string& title, const SharedOutData& shared) {
  const double width = side_of_cell(shared.class_names.size());
  const double height = side_of_cell(shared.counts.size());
  std::string page = fmt::format(head, escaped(title));
  page +=
      fmt::format("<svg role=\"img\" aria-label=\"workers by classes\" width=\"{:.0f}\" height=\"{:.0f}\">\n",
                  2 * margin + static_cast<double>(shared.class_names.size()) * width,
                  margin + static_cast<double>(shared.counts.size()) * height + 4);
  page += draw_names(shared, width, height) + draw_cells(shared, width, height);
  return page + "</svg>\n</body></html>\n";
}

}  // namespace tardigrad
