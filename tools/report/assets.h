#pragma once

#include <string_view>

/// Holds files that the build put into the program (embed.cmake).
namespace tardigrad::assets {

extern const std::string_view page_html;
extern const std::string_view page_css;
extern const std::string_view page_js;
extern const std::string_view chart_js;  ///< empty where the build found none

}  // namespace tardigrad::assets
