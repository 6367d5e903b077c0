#include "tools/report/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string_view>

#include "tools/report/assets.h"

namespace tardigrad {
namespace {

/// In JSON a "<" stands only in strings. Escaped, it begins neither a tag nor a comment.
std::string escaped(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

/// The text up to a marker, `content` and the rest: what is put in is not searched again.
std::string fill(std::string_view page,
                 const std::vector<std::pair<std::string_view, std::string_view>>& contents) {
  std::string filled;
  for (const auto& [marker, content] : contents) {
    const std::size_t at = page.find(marker);
    if (at == std::string_view::npos) throw std::logic_error(fmt::format("page.html: no {}", marker));
    filled.append(page.substr(0, at)).append(content);
    page.remove_prefix(at + marker.size());
  }
  return filled.append(page);
}

}  // namespace

void require_pages() {
  if (!assets::chart_js.empty()) return;
  throw std::invalid_argument(
      "pages need Chart.js, which this program was built without; tools/dependencies.sh build installs it");
}

std::string page_data(const std::vector<std::string>& runs, bool live) {
  return fmt::format(R"({{"runs":[{}],"live":{}}})", fmt::join(runs, ","), live);
}

std::string report_page(const std::string& data_json) {
  require_pages();
  return fill(assets::page_html, {{"{{style}}", assets::page_css},
                                  {"{{data}}", escaped(data_json)},
                                  {"{{chart}}", assets::chart_js},
                                  {"{{script}}", assets::page_js}});
}

}  // namespace tardigrad
