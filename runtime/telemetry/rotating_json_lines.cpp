#include "runtime/telemetry/rotating_json_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/base/output_path.h"

namespace tardigrad {

RotatingJsonLines::RotatingJsonLines(const char* flag, std::filesystem::path path,
                                     const std::string& run_json, LogRotation rotation,
                                     OutputFile::Limits limits, LogBeginning beginning)
    : flag_(flag),
      path_(std::move(path)),
      run_json_(beginning.part ? beginning.run_json : run_json),
      rotation_(rotation),
      rotates_(!is_stream(path_)),
      limits_(limits),
      trouble_(fmt::format("{} {}", flag_, path_.string()), limits.patience),
      file_(begin(beginning)) {}

std::unique_ptr<JsonLines> RotatingJsonLines::begin(const LogBeginning& beginning) {
  for (const std::string& line : beginning.lasting) keep(line);
  if (beginning.part) {
    part_ = *beginning.part;
    full_bytes_ = rotation_.file_bytes;
    return std::make_unique<JsonLines>(flag_, path_, limits_);
  }
  if (!rotates_) return begin_part();
  const auto stale = stale_parts(flag_, path_, rotation_.files);
  auto first = begin_part();
  for (const auto& part : stale) std::filesystem::remove(part);
  return first;
}

std::unique_ptr<JsonLines> RotatingJsonLines::begin_part() {
  std::vector<std::string> repeated = lasting_;
  if (!repeated.empty() && repeated.back() != latest_) repeated.push_back(latest_);
  auto run = parse_own_json<nlohmann::ordered_json>(run_json_);
  run["log"] = path_.filename().string();
  run["part"] = part_;
  run["repeated"] = repeated.size();
  auto file = std::make_unique<JsonLines>(flag_, path_, json_text(run), limits_);
  for (const std::string& line : repeated) file->write(line, true);
  // A part is to hold as much of its own as it repeats, however little it may hold.
  full_bytes_ = std::max(rotation_.file_bytes, 2 * file->bytes());
  return file;
}

void RotatingJsonLines::write(const std::string& json) {
  if (file_->bytes() + json.size() + 1 > full_bytes_) rotate();
  file_->write(json);
}

void RotatingJsonLines::write_that_matters(const std::string& json) {
  if (file_->bytes() + json.size() + 1 > full_bytes_) rotate();
  file_->write(json, true);
}

void RotatingJsonLines::write_lasting(const std::string& json) {
  write_that_matters(json);
  keep(json);
}

void RotatingJsonLines::keep(const std::string& lasting) {
  latest_ = lasting;
  if (lasting_count_++ % lasting_stride_ != 0) return;
  lasting_bytes_ += lasting.size() + 1;
  lasting_.push_back(lasting);
  if (lasting_bytes_ <= rotation_.file_bytes / 8) return;
  lasting_stride_ *= 2;
  lasting_bytes_ = 0;
  std::vector<std::string> every_other;
  for (std::size_t i = 0; i < lasting_.size(); i += 2) {
    lasting_bytes_ += lasting_[i].size() + 1;
    every_other.push_back(std::move(lasting_[i]));
  }
  lasting_.swap(every_other);
}

/// Not before all of the old part is written: what waits would wait in memory, in file after file.
void RotatingJsonLines::rotate() {
  if (!rotates_ || trouble_.rests() || !file_->flush()) return;
  bool renamed = false;
  try {
    rename_parts();
    renamed = true;
    ++part_;
    file_ = begin_part();
    trouble_.over("goes on in a new file again");
  } catch (const std::exception& error) {
    trouble_.found(fmt::format("cannot go on in a new file: {}", error.what()));
    if (!renamed) return;
    --part_;
    std::error_code ignored;  // otherwise what is written goes on in FILE.1
    if (rotation_.files > 1) std::filesystem::rename(older_part(path_, 1), path_, ignored);
  }
}

/// Up to the first name that is free, so that it can be done again where it stopped.
void RotatingJsonLines::rename_parts() {
  const auto oldest = static_cast<std::uint64_t>(rotation_.files) - 1;
  if (oldest == 0 || !std::filesystem::exists(path_)) return;
  std::uint64_t age = 1;
  while (age < oldest && std::filesystem::exists(older_part(path_, age))) ++age;
  for (; age > 0; --age) std::filesystem::rename(older_part(path_, age - 1), older_part(path_, age));
}

}  // namespace tardigrad
