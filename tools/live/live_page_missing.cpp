// The live page of a build without cpp-httplib.
#include <stdexcept>

#include "tools/live/live_page.h"

namespace tardigrad {

class LivePage::Server {};

LivePage::LivePage(LiveContent, LiveOptions) {
  throw std::invalid_argument(
      "--serve: this build has no web server; it takes cpp-httplib (libcpp-httplib-dev on Debian)");
}

LivePage::~LivePage() = default;
int LivePage::port() const { return 0; }
std::string LivePage::url() const { return ""; }

}  // namespace tardigrad
