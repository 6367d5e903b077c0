#include "tools/report/run_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/base/json_text.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

int workers_of(const Json& run) {
  constexpr std::int64_t most = 1 << 16;  // of which a page can show anything; a log may claim any number
  const Json workers = run.is_object() ? run.value("workers", Json()) : Json();
  if (!workers.is_number_integer() || workers.get<std::int64_t>() < 1 || workers.get<std::int64_t>() > most) {
    throw std::invalid_argument(
        fmt::format("a run record: \"workers\": expected their number, 1 to {}", most));
  }
  return workers.get<int>();
}

/// To six digits, as curves need them; null for what is not finite.
Json digits(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
}

Json digits(const std::optional<double>& value) { return value ? digits(*value) : Json(nullptr); }

template <typename Point, typename Value>
Json column(const BoundedSeries<Point>& series, const Value& value) {
  Json values = Json::array();
  for (const Point& point : series.points()) values.push_back(value(point));
  return values;
}

/// What all series have: where each of its points is.
template <typename Point>
Json places(const BoundedSeries<Point>& series) {
  return {{"stride", series.stride()},
          {"time", column(series, [](const Point& point) { return digits(point.time); })},
          {"update", column(series, [](const Point& point) { return point.update; })},
          {"gradients", column(series, [](const Point& point) { return point.gradients; })}};
}

Json to_json(const Histogram& histogram) {
  Json counts = Json::array();
  histogram.for_each([&](std::uint64_t value, std::uint64_t count) { counts.push_back({value, count}); });
  return {{"median", histogram.median()}, {"max", histogram.max()}, {"counts", std::move(counts)}};
}

Json to_json(const GradientTime& time) {
  return {{"computing", time.computing}, {"hand_over", time.handing_over}, {"queue", time.queueing}};
}

}  // namespace

void RunPicture::ProgressPoint::merge(const ProgressPoint& later) {
  time = later.time;
  update = later.update;
  gradients = later.gradients;
  loss_sum += later.loss_sum;
  staleness_sum += later.staleness_sum;
  staleness_max = std::max(staleness_max, later.staleness_max);
  count += later.count;
}

void RunPicture::RowAgePoint::merge(const RowAgePoint& later) {
  time = later.time;
  update = later.update;
  gradients = later.gradients;
  mean_sum += later.mean_sum;
  max = std::max(max, later.max);
  count += later.count;
}

RunPicture::RunPicture(const std::string& run_json)
    : run_json_(run_json),
      workers_(static_cast<std::size_t>(workers_of(parse_json<Json>(run_json)))),
      rows_(workers_.size()),
      timeline_(static_cast<int>(workers_.size())) {
  const Json run = parse_own_json<Json>(run_json);
  has_table_ = run.value("table", Json()) == true;
  two_tables_ = has_table_ && run.value("method", Json()) == "ringleader";
  if (two_tables_) next_rows_.resize(workers_.size());
}

WorkerTimes& RunPicture::times_of(int worker) {
  if (worker < 0 || worker >= static_cast<int>(workers_.size())) {
    throw std::invalid_argument(
        fmt::format("a record of worker {}, but the run has {} workers", worker, workers_.size()));
  }
  return workers_[static_cast<std::size_t>(worker)];
}

void RunPicture::advance(double time, std::uint64_t update, std::uint64_t gradients) {
  time_ = std::max(time_, time);
  update_ = std::max(update_, update);
  gradients_ = std::max(gradients_, gradients);
}

void RunPicture::add_progress(float loss, std::uint64_t staleness) {
  ProgressPoint point{.time = time_, .update = update_, .gradients = gradients_};
  point.loss_sum = static_cast<double>(loss);
  point.staleness_sum = static_cast<double>(staleness);
  point.staleness_max = staleness;
  progress_.add(point);
}

void RunPicture::on_gradient(const GradientRecord& gradient) {
  jobs_told_ = true;
  const JobRecord& job = gradient.job;
  WorkerTimes& worker = times_of(job.worker);
  ++worker.gradients;
  worker.computing += job.compute_time - gradient.hand_over_time;
  worker.handing_over += gradient.hand_over_time;
  worker.queueing += gradient.queue_time;
  worker.time = job.time + gradient.queue_time;
  worker.staleness.add(gradient.staleness);
  timeline_.add_gradient(gradient);
  if (has_table_) fold_row(gradient);
  advance(job.time, gradient.update, gradient.gradients);
  add_progress(gradient.loss, gradient.staleness);
}

/// With two tables a round is n updates, the gradients that make none in between are for the next.
void RunPicture::fold_row(const GradientRecord& gradient) {
  const auto worker = static_cast<std::size_t>(gradient.job.worker);
  if (two_tables_ && gradient.update == 0 && update_ % workers_.size() != 0) {
    next_rows_[worker] = gradient.job.version;
  } else {
    rows_.fold(worker, gradient.job.version);
  }
}

void RunPicture::on_update(const UpdateRecord& update) {
  updates_told_ = true;
  advance(update.time, update.update, update.gradients);
  if (!jobs_told_) add_progress(update.loss, update.staleness);
  if (has_table_ && !rows_.empty()) note_row_ages(update);
}

/// As the update found them: as staleness, they count from the version before it.
void RunPicture::note_row_ages(const UpdateRecord& update) {
  const RowAges::Ages ages = rows_.at(update.update - 1);
  row_ages_.add({.time = update.time,
                 .update = update.update,
                 .gradients = update.gradients,
                 .mean_sum = ages.mean,
                 .max = ages.max});
  if (!two_tables_ || update.update % workers_.size() != 0) return;
  for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
    if (next_rows_[worker]) rows_.fold(worker, *next_rows_[worker]);
    next_rows_[worker].reset();
  }
}

void RunPicture::on_discard(const JobRecord& job) {
  jobs_told_ = true;
  WorkerTimes& worker = times_of(job.worker);
  ++worker.discarded_jobs;
  worker.discarded += job.compute_time;
  worker.time = job.time;
  timeline_.add_discard(job);
  advance(job.time, 0, 0);
}

void RunPicture::on_evaluation(const EvaluationRecord& evaluation) {
  evaluations_.add({evaluation});
  advance(evaluation.time, evaluation.update, evaluation.gradients);
}

void RunPicture::on_warning(const Warning& warning) {
  if (warnings_.size() == most_warnings) warnings_.pop_back();
  warnings_.push_back(warning);
}

void RunPicture::on_worker_change(const WorkerChange& change) {
  on_warning({.update = change.update,
              .time = change.time,
              .text = fmt::format("worker {} is {}: {}", change.worker, change.lost ? "lost" : "back",
                                  change.reason)});
}

void RunPicture::on_summary(const RunSummary& summary) {
  summary_ = summary;
  advance(summary.time, summary.updates, summary.gradients);
  for (const WorkerRecord& record : summary.workers) take_from_summary(record);
}

/// What was not told of the worker's jobs, and that of the job in flight at the end, which never is.
void RunPicture::take_from_summary(const WorkerRecord& record) {
  WorkerTimes& worker = times_of(record.worker);
  worker.device = record.device;
  worker.time = summary_->time;
  const double busy = record.busy_share * summary_->time;
  if (!jobs_told_) {
    const auto jobs = static_cast<double>(record.jobs);
    worker.gradients = record.jobs;
    worker.computing = (record.mean_compute_time - record.mean_hand_over_time) * jobs;
    worker.handing_over = record.mean_hand_over_time * jobs;
    worker.queueing = record.mean_queue_time * jobs;
    worker.discarded_jobs = record.discarded_jobs;
    worker.discarded = record.discarded_share * busy;
    worker.staleness = record.staleness;
  }
  // Shares are rounded: a rest of less than that is none.
  const double rest = busy - worker.busy();
  if (rest < 1e-9 * summary_->time) return;
  worker.unfinished = rest;
  if (jobs_told_) timeline_.add_unfinished(record.worker, summary_->time - rest);
}

Json RunPicture::summary_json() const {
  if (!summary_) return nullptr;
  return {
      {"updates", summary_->updates},
      {"gradients", summary_->gradients},
      {"time", summary_->time},
      {"train_time_s", summary_->train_time_s},
      {"loss", summary_->final_evaluation.loss},
      {"accuracy", summary_->final_evaluation.accuracy ? Json(*summary_->final_evaluation.accuracy) : Json()},
      {"staleness_max", summary_->staleness_max},
      {"idle_share", summary_->idle_share},
      {"discarded_share", summary_->discarded_share},
      {"largest_drift", summary_->largest_drift ? Json(*summary_->largest_drift) : Json()},
      {"stop_reason", to_string(summary_->stop_reason)}};
}

/// A measure more is a column more here, and a line in js/curves.js.
Json RunPicture::evaluations_json() const {
  Json series = places(evaluations_);
  using Point = EvaluationPoint;
  series["loss"] = column(evaluations_, [](const Point& point) { return digits(point.evaluation.loss); });
  series["accuracy"] =
      column(evaluations_, [](const Point& point) { return digits(point.evaluation.accuracy); });
  series["objective"] =
      column(evaluations_, [](const Point& point) { return digits(point.evaluation.objective); });
  series["gradient_norm_sq"] =
      column(evaluations_, [](const Point& point) { return digits(point.evaluation.gradient_norm_sq); });
  series["train_loss"] = column(evaluations_, [](const Point& point) { return digits(point.train_loss); });
  return series;
}

Json RunPicture::progress_json() const {
  Json series = places(progress_);
  using Point = ProgressPoint;
  const auto mean = [](double sum, const Point& point) {
    return digits(sum / static_cast<double>(point.count));
  };
  series["loss"] = column(progress_, [&](const Point& point) { return mean(point.loss_sum, point); });
  series["staleness_mean"] =
      column(progress_, [&](const Point& point) { return mean(point.staleness_sum, point); });
  series["staleness_max"] = column(progress_, [](const Point& point) { return point.staleness_max; });
  return series;
}

Json RunPicture::row_ages_json() const {
  if (!has_table_ || row_ages_.points().empty()) return nullptr;
  Json series = places(row_ages_);
  using Point = RowAgePoint;
  series["max"] = column(row_ages_, [](const Point& point) { return point.max; });
  series["mean"] = column(row_ages_, [](const Point& point) {
    return digits(point.mean_sum / static_cast<double>(point.count));
  });
  return series;
}

Json RunPicture::workers_json() const {
  Json rows = Json::array();
  for (const WorkerTimes& worker : workers_) {
    rows.push_back({{"worker", rows.size()},
                    {"device", worker.device},
                    {"time", worker.time},
                    {"gradients", worker.gradients},
                    {"discarded_jobs", worker.discarded_jobs},
                    {"computing", worker.computing},
                    {"hand_over", worker.handing_over},
                    {"queue", worker.queueing},
                    {"discarded", worker.discarded},
                    {"unfinished", worker.unfinished},
                    {"waiting", std::max(0.0, worker.time - worker.busy() - worker.queueing)},
                    {"staleness", to_json(worker.staleness)}});
  }
  return rows;
}

Json RunPicture::warnings_json() const {
  Json list = Json::array();
  for (const Warning& warning : warnings_) {
    list.push_back({{"update", warning.update}, {"time", warning.time}, {"text", warning.text}});
  }
  return list;
}

Json RunPicture::straggler_json() const {
  const Straggler straggler = find_straggler(workers_);
  const WorkerTimes& worker = workers_[static_cast<std::size_t>(straggler.worker)];
  return {{"worker", straggler.worker},
          {"cause", to_string(straggler.cause)},
          {"time", to_json(straggler.time)},
          {"median", to_json(straggler.median)},
          {"times_median", straggler.times_median},
          {"gradients_share", straggler.gradients_share},
          {"discarded_jobs", worker.discarded_jobs},
          {"idle_share", straggler.idle_share},
          {"others_idle_share", straggler.others_idle_share},
          {"staleness_median", worker.staleness.median()},
          {"staleness_max", worker.staleness.max()}};
}

std::string RunPicture::json() const {
  const bool workers_known = jobs_told_ || summary_;
  const Json picture = {{"run", parse_own_json<Json>(run_json_)},
                        {"told", {{"jobs", jobs_told_}, {"updates", updates_told_}}},
                        {"time", time_},
                        {"updates", update_},
                        {"gradients", gradients_},
                        {"summary", summary_json()},
                        {"warnings", warnings_json()},
                        {"evaluations", evaluations_json()},
                        {"progress", progress_json()},
                        {"row_ages", row_ages_json()},
                        {"workers", workers_known ? workers_json() : Json(nullptr)},
                        {"straggler", workers_known ? straggler_json() : Json(nullptr)},
                        {"timeline", jobs_told_ ? timeline_.json() : Json(nullptr)}};
  return json_text_of_any_bytes(picture);
}

}  // namespace tardigrad
