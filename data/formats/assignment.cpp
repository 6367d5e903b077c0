#include "data/formats/assignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "data/formats/byte_reader.h"
#include "data/formats/number_text.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

constexpr std::uint32_t nobody = ~std::uint32_t{0};

class AssignmentReader {
 public:
  AssignmentReader(const std::filesystem::path& path, std::size_t examples, std::size_t workers)
      : path_(path), workers_(workers), owners_(examples, nobody) {}

  std::vector<std::uint32_t> read() {
    const std::string text = read_text(path_);
    for (std::string_view left = text; !left.empty();) {
      ++line_;
      const std::string_view line = trimmed(take_line(left));
      if (!line.empty()) add(line);
    }
    const auto without = std::ranges::find(owners_, nobody);
    if (without != owners_.end()) {
      refuse_file(path_,
                  fmt::format("example {} has no worker, expected one for each of the {} training examples",
                              without - owners_.begin(), owners_.size()));
    }
    std::vector<bool> busy(workers_);
    for (const std::uint32_t owner : owners_) busy[owner] = true;
    const auto idle = std::ranges::find(busy, false);
    if (idle != busy.end()) {
      refuse_file(path_, fmt::format("worker {} has no examples, expected some for each of the {} workers",
                                     idle - busy.begin(), workers_));
    }
    return std::move(owners_);
  }

 private:
  void add(std::string_view line) {
    const std::size_t comma = line.find(',');
    const bool has_example = comma != line.npos;
    const auto worker = parse_number<std::size_t>(trimmed(has_example ? line.substr(comma + 1) : line));
    const auto example =
        has_example ? parse_number<std::size_t>(trimmed(line.substr(0, comma))) : std::optional(next_);
    if (!worker || !example) {
      if (line_ == 1) return;  // the names of the columns
      refuse(fmt::format("{}, expected EXAMPLE,WORKER or WORKER", in_quotes(line)));
    }
    if (*example >= owners_.size()) {
      refuse(
          fmt::format("example {}, expected 0 to {}, the training examples", *example, owners_.size() - 1));
    }
    if (*worker >= workers_) {
      refuse(fmt::format("worker {}, expected 0 to {}, the workers of the run", *worker, workers_ - 1));
    }
    if (owners_[*example] != nobody) {
      refuse(fmt::format("example {} has worker {} already, expected one", *example, owners_[*example]));
    }
    owners_[*example] = static_cast<std::uint32_t>(*worker);
    next_ = *example + 1;
  }

  [[noreturn]] void refuse(const std::string& reason) const { refuse_line(path_, line_, reason); }

  std::filesystem::path path_;
  std::size_t workers_;
  std::vector<std::uint32_t> owners_;
  std::size_t next_ = 0;  // the example of a line that names none
  std::size_t line_ = 0;
};

}  // namespace

std::vector<std::uint32_t> read_assignment(const std::filesystem::path& path, std::size_t examples,
                                           std::size_t workers) {
  return AssignmentReader(path, examples, workers).read();
}

}  // namespace tardigrad::data
