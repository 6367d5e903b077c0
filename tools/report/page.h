#pragma once

#include <string>
#include <vector>

namespace tardigrad {

/// Throws std::invalid_argument saying what this program was built without, if it has no chart library and
/// thus no pages.
void require_pages();

/// Returns what a page shows, as JSON. `runs` are of RunPicture::json; `live` holds while more is to come.
std::string page_data(const std::vector<std::string>& runs, bool live);

/// Returns a whole HTML page that shows `page_data`, and needs nothing besides. If the data is live, it takes
/// newer data, whole, from the Server-Sent Events at `events`, until one is not live. Throws as
/// require_pages.
std::string report_page(const std::string& data_json);

}  // namespace tardigrad
