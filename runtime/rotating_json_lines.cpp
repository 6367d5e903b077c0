#include "runtime/rotating_json_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace tardigrad {
namespace {

/// Whether the file begins with the run record of a part of the log of that name.
bool is_part(const std::filesystem::path& file, const std::string& log) {
  constexpr std::string_view beginning = R"({"event":"run",)";
  std::ifstream stream(file);
  std::string line(beginning.size(), ' ');
  if (!stream.read(line.data(), static_cast<std::streamsize>(line.size())) || line != beginning) return false;
  std::getline(stream, line);
  const auto run = nlohmann::json::parse(std::string(beginning) + line, nullptr, false);
  return run.is_object() && run.value("log", nlohmann::json()) == log;
}

/// Parts that an older log has left. Throws where new parts would replace other files.
std::vector<std::filesystem::path> stale_parts(const char* flag, const std::filesystem::path& path,
                                               int files) {
  std::vector<std::filesystem::path> stale;
  std::error_code unreadable;
  for (int age = 1;; ++age) {
    const std::filesystem::path part = older_part(path, static_cast<std::uint64_t>(age));
    const bool exists = std::filesystem::exists(part, unreadable);
    if (age >= files && !exists) return stale;
    if (!exists) continue;
    if (is_part(part, path.filename())) {
      stale.push_back(part);
    } else if (age < files) {
      throw std::invalid_argument(
          fmt::format("{} {}: parts of it would replace {}, which is none; expected another name", flag,
                      path.string(), part.string()));
    }
  }
}

}  // namespace

std::filesystem::path older_part(const std::filesystem::path& path, std::uint64_t age) {
  return path.string() + "." + std::to_string(age);
}

RotatingJsonLines::RotatingJsonLines(const char* flag, std::filesystem::path path,
                                     const std::string& run_json, LogRotation rotation)
    : flag_(flag), path_(std::move(path)), run_json_(run_json), rotation_(rotation), file_([this] {
        const auto stale = stale_parts(flag_, path_, rotation_.files);
        JsonLines first = begin_part();
        for (const auto& part : stale) std::filesystem::remove(part);
        return first;
      }()) {}

JsonLines RotatingJsonLines::begin_part() {
  std::vector<std::string> repeated = lasting_;
  if (!repeated.empty() && repeated.back() != latest_) repeated.push_back(latest_);
  auto run = nlohmann::ordered_json::parse(run_json_);
  run["log"] = path_.filename().string();
  run["part"] = part_;
  run["repeated"] = repeated.size();
  JsonLines file(flag_, path_, run.dump());
  for (const std::string& line : repeated) file.write(line);
  // A part is to hold as much of its own as it repeats, however little it may hold.
  full_bytes_ = std::max(rotation_.file_bytes, 2 * file.bytes());
  return file;
}

void RotatingJsonLines::write(const std::string& json) {
  if (file_.bytes() + json.size() + 1 > full_bytes_) rotate();
  file_.write(json);
}

void RotatingJsonLines::write_lasting(const std::string& json) {
  write(json);
  latest_ = json;
  if (lasting_count_++ % lasting_stride_ != 0) return;
  lasting_bytes_ += json.size() + 1;
  lasting_.push_back(json);
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

void RotatingJsonLines::rotate() {
  file_.flush();
  try {
    for (int age = rotation_.files - 1; age > 0; --age) {
      const auto younger = age == 1 ? path_ : older_part(path_, static_cast<std::uint64_t>(age - 1));
      if (std::filesystem::exists(younger)) {
        std::filesystem::rename(younger, older_part(path_, static_cast<std::uint64_t>(age)));
      }
    }
    ++part_;
    file_ = begin_part();
  } catch (const std::exception& error) {
    throw std::runtime_error(
        fmt::format("{} {}: cannot go on in a new file: {}", flag_, path_.string(), error.what()));
  }
}

}  // namespace tardigrad
