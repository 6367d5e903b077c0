#include "tools/live/live_run.h"

#include <optional>
#include <system_error>
#include <utility>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "tools/live/exposition.h"
#include "tools/live/run_status.h"
#include "tools/report/page.h"

namespace tardigrad {
namespace {

/// Seconds since the newest checkpoint in the folder was complete; nothing where there is none. The folder
/// knows better than the run, which hears of a checkpoint when it begins.
std::optional<double> checkpoint_age_s(const std::filesystem::path& folder) {
  if (folder.empty()) return std::nullopt;
  try {
    const auto checkpoints = CheckpointFolder::list(folder);
    if (checkpoints.empty()) return std::nullopt;
    const auto written = std::filesystem::last_write_time(checkpoints.back() / "manifest.json");
    const std::chrono::duration<double> age = std::filesystem::file_time_type::clock::now() - written;
    return std::max(0.0, age.count());
  } catch (const std::exception&) {  // a disk that fails: not known, then
    return std::nullopt;
  }
}

}  // namespace

LiveRun::LiveRun(const std::string& run_json, const LiveOptions& options, std::filesystem::path checkpoints)
    : run_json_(run_json),
      checkpoints_(std::move(checkpoints)),
      picture_(run_json),
      metrics_(run_json),
      copy_(picture_),
      page_(content(), options) {}

LiveContent LiveRun::content() {
  const auto metrics = [this] {
    return LiveText::Answer{.text = metrics_text(run_json_, values(), checkpoint_age_s(checkpoints_),
                                                 RunValues::SteadyClock::now())};
  };
  const auto health = [this] { return health_answer(values(), RunValues::SteadyClock::now()); };
  return {.data = [this](bool live) { return data(live); },
          .page = report_page,
          .texts = {{.path = "/metrics", .content_type = Exposition::content_type, .answer = metrics},
                    {.path = "/health", .content_type = "application/json", .answer = health}}};
}

std::string LiveRun::data(bool live) {
  {
    const std::scoped_lock lock(mutex_);
    copy_ = picture_;
  }
  return page_data({copy_.json()}, live);
}

RunValues LiveRun::values() {
  const std::scoped_lock lock(mutex_);
  return metrics_.values();
}

template <typename Record>
void LiveRun::tell(void (RunObserver::*what)(const Record&), const Record& record) {
  const std::scoped_lock lock(mutex_);
  (picture_.*what)(record);
  (metrics_.*what)(record);
}

void LiveRun::on_gradient(const GradientRecord& record) { tell(&RunObserver::on_gradient, record); }
void LiveRun::on_update(const UpdateRecord& record) { tell(&RunObserver::on_update, record); }
void LiveRun::on_discard(const JobRecord& record) { tell(&RunObserver::on_discard, record); }
void LiveRun::on_evaluation(const EvaluationRecord& record) { tell(&RunObserver::on_evaluation, record); }
void LiveRun::on_warning(const Warning& warning) { tell(&RunObserver::on_warning, warning); }
void LiveRun::on_worker_change(const WorkerChange& change) { tell(&RunObserver::on_worker_change, change); }
void LiveRun::on_summary(const RunSummary& summary) { tell(&RunObserver::on_summary, summary); }

}  // namespace tardigrad
