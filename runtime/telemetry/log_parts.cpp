#include "runtime/telemetry/log_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "runtime/base/json_text.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view run_line = R"({"event":"run",)";
constexpr std::string_view checkpoint_beginning = R"({"event":"checkpoint",)";
constexpr std::array<std::string_view, 4> lasting_lines = {R"({"event":"eval",)", R"({"event":"warning",)",
                                                           R"({"event":"worker-lost",)",
                                                           R"({"event":"worker-back",)"};

/// The run record that the file begins with; null where it does not, or is no file at all.
Json run_record_of(const fs::path& file) {
  std::error_code unreadable;
  if (!fs::is_regular_file(file, unreadable)) return nullptr;
  std::ifstream stream(file);
  std::string line(run_line.size(), ' ');
  if (!stream.read(line.data(), static_cast<std::streamsize>(line.size())) || line != run_line) {
    return nullptr;
  }
  std::getline(stream, line);
  Json run = parse_json<Json>(std::string(run_line) + line);
  return run.is_object() ? run : Json();
}

bool is_part(const Json& run, const fs::path& log) {
  return run.is_object() && run.value("log", Json()) == log.filename().string();
}

struct Part {
  fs::path file;
  Json run;
};

/// The newest first. Where parts could not be renamed, some are missing between others.
std::vector<Part> find_parts(const fs::path& path, int files) {
  std::vector<Part> parts;
  std::error_code unreadable;
  for (int age = 0;; ++age) {
    const fs::path file = older_part(path, static_cast<std::uint64_t>(age));
    if (age > files && !fs::exists(file, unreadable)) return parts;
    if (Json run = run_record_of(file); is_part(run, path)) parts.push_back({file, std::move(run)});
  }
}

/// What a file holds up to the line of a checkpoint, or in all.
struct Held {
  std::optional<std::uint64_t> checkpoint_end;  // bytes
  std::vector<std::string> lasting;
};

/// A last line without its end is none.
Held read_until(const fs::path& path, const std::string& checkpoint) {
  Held held;
  std::size_t lasting_before = 0;
  std::uint64_t end = 0;
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line) && !file.eof();) {
    end += line.size() + 1;
    if (std::ranges::any_of(lasting_lines, [&](auto beginning) { return line.starts_with(beginning); })) {
      held.lasting.push_back(line);
    } else if (line.starts_with(checkpoint_beginning)) {
      const Json record = parse_json<Json>(line);
      if (!record.is_object() || record.value("name", Json()) != checkpoint) continue;
      held.checkpoint_end = end;
      lasting_before = held.lasting.size();
    }
  }
  if (held.checkpoint_end) held.lasting.resize(lasting_before);
  return held;
}

bool is_until(const std::string& line, const CheckpointRecord& checkpoint) {
  const Json record = parse_json<Json>(line);
  const auto number = [&](const char* name) {
    const Json value = record.is_object() ? record.value(name, Json()) : Json();
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  };
  const auto update = number("update");
  const auto time = number("time");
  return update && time && *update <= static_cast<double>(checkpoint.update) && *time <= checkpoint.time;
}

/// Why the log of that run cannot go on as that of another; nothing if it can.
std::optional<std::string> difference(const Json& run, const Json& other) {
  for (const char* name : {"method", "workers"}) {
    const Json had = run.value(name, Json());
    const Json has = other.value(name, Json());
    if (had != has) {
      return fmt::format("is of {} {}, and the run goes on with {}", name, json_text(had), json_text(has));
    }
  }
  return std::nullopt;
}

[[noreturn]] void refuse(const char* flag, const fs::path& path, const CheckpointRecord& checkpoint,
                         const std::error_code& why) {
  throw std::invalid_argument(fmt::format("{} {}: cannot go on after checkpoint {}: {}", flag, path.string(),
                                          checkpoint.name, why.message()));
}

/// Of parts, the newest first, makes that one `FILE`, and `bytes` long. Stopped anywhere, it can be done
/// again.
void make_newest(const fs::path& path, const std::vector<Part>& parts, std::size_t newest,
                 std::uint64_t bytes) {
  fs::resize_file(parts[newest].file, bytes);
  for (std::size_t i = 0; i < newest; ++i) fs::remove(parts[i].file);
  for (std::size_t i = newest; i < parts.size(); ++i) fs::rename(parts[i].file, older_part(path, i - newest));
}

LogBeginning begin_anew(const std::vector<Part>& parts, const Json& run, const CheckpointRecord& checkpoint,
                        std::string complaint) {
  LogBeginning beginning;
  beginning.complaint = std::move(complaint);
  if (parts.empty() || parts.front().run.value("method", Json()) != run.value("method", Json())) {
    return beginning;
  }
  beginning.lasting = read_until(parts.front().file, checkpoint.name).lasting;
  std::erase_if(beginning.lasting, [&](const std::string& line) { return !is_until(line, checkpoint); });
  return beginning;
}

/// By a copy, where it is another one.
std::error_code replace_first_line(const fs::path& path, const std::string& line) {
  std::ifstream file(path);
  std::string first;
  std::getline(file, first);
  if (first == line) return {};
  const fs::path beside = path.string() + ".partial";
  std::ofstream copy(beside);
  copy << line << '\n';
  if (file.peek() != std::ifstream::traits_type::eof()) copy << file.rdbuf();
  copy.close();
  if (!copy) return std::make_error_code(std::errc::no_space_on_device);
  std::error_code error;
  fs::rename(beside, path, error);
  return error;
}

}  // namespace

std::string run_record_line(const std::string& run_json) {
  Json run = {{"event", "run"}};
  run.update(parse_own_json<Json>(run_json));
  return json_text(run);
}

fs::path older_part(const fs::path& path, std::uint64_t age) {
  return age == 0 ? path : fs::path(path.string() + "." + std::to_string(age));
}

std::string checkpoint_line(const CheckpointRecord& record) {
  return json_text_of_any_bytes(Json{{"event", "checkpoint"},
                                     {"name", record.name},
                                     {"update", record.update},
                                     {"gradients", record.gradients},
                                     {"time", record.time}});
}

std::vector<fs::path> stale_parts(const char* flag, const fs::path& path, int files) {
  std::vector<fs::path> stale;
  std::error_code unreadable;
  for (int age = 1;; ++age) {
    const fs::path part = older_part(path, static_cast<std::uint64_t>(age));
    const bool exists = fs::exists(part, unreadable);
    if (age >= files && !exists) return stale;
    if (!exists) continue;
    if (is_part(run_record_of(part), path)) {
      stale.push_back(part);
    } else if (age < files) {
      throw std::invalid_argument(
          fmt::format("{} {}: parts of it would replace {}, which is none; expected another name", flag,
                      path.string(), part.string()));
    }
  }
}

LogBeginning cut_log(const char* flag, const fs::path& path, int files, const std::string& run_json,
                     const CheckpointRecord& checkpoint) {
  const Json run = parse_own_json<Json>(run_json);
  const std::vector<Part> parts = find_parts(path, files);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Held held = read_until(parts[i].file, checkpoint.name);
    if (!held.checkpoint_end) continue;
    Json record = parts[i].run;
    if (const auto other = difference(record, run)) return begin_anew(parts, run, checkpoint, *other);
    LogBeginning beginning;
    beginning.lasting = std::move(held.lasting);
    const Json part = record.value("part", Json());
    beginning.part = part.is_number_unsigned() ? part.get<std::uint64_t>() : 0;
    for (const char* of_the_part : {"event", "log", "part", "repeated"}) record.erase(of_the_part);
    beginning.run_json = json_text(record);
    try {
      make_newest(path, parts, i, *held.checkpoint_end);
    } catch (const fs::filesystem_error& error) {
      refuse(flag, path, checkpoint, error.code());
    }
    return beginning;
  }
  return begin_anew(parts, run, checkpoint, "holds nothing of checkpoint " + checkpoint.name);
}

bool cut_file(const char* flag, const fs::path& path, const std::string& run_json,
              const CheckpointRecord& checkpoint) {
  const Json run = run_record_of(path);
  if (!run.is_object() || difference(run, parse_own_json<Json>(run_json))) return false;
  const Held held = read_until(path, checkpoint.name);
  if (!held.checkpoint_end) return false;
  std::error_code error;
  fs::resize_file(path, *held.checkpoint_end, error);
  if (!error) error = replace_first_line(path, run_record_line(run_json));
  if (error) refuse(flag, path, checkpoint, error);
  return true;
}

}  // namespace tardigrad
