#include "runtime/coordinator/coordinator_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace tardigrad {
namespace {

constexpr int most_workers = 1 << 20;

}  // namespace

void Coordinator::resume(const Checkpoint& checkpoint) { state_->restore(checkpoint); }

CheckpointRecord Coordinator::State::position() const {
  const RunPosition now = run_.position_.at(run_.events_.now());
  return {CheckpointFolder::name(now.updates, now.gradients), now.updates, now.gradients, now.time};
}

bool Coordinator::State::at_rest() const { return run_.executor_.server().at_rest(); }

nlohmann::ordered_json Coordinator::State::save(Snapshot& snapshot) {
  run_.evaluations_.save(snapshot);
  run_.executor_.server().begin_snapshot(snapshot);
  std::vector<std::uint64_t> models = run_.executor_.begin_snapshot(snapshot);
  StateArchive state;
  state.numbers("models", models, models.size(), std::uint64_t{0}, StateArchive::any);
  state.object("coordinator", [this](StateArchive& inner) {
    int workers = run_.objective_.workers();
    inner.number("workers", workers, workers, workers);
    visit_run(inner);
    visit_workers(inner);
  });
  state.object("method", [this](StateArchive& inner) { run_.method_.visit_state(inner); });
  state.object("server", [this](StateArchive& inner) { run_.executor_.server().visit_state(inner); });
  state.object("clock", [this](StateArchive& inner) { run_.events_.visit_state(inner, true); });
  state.object("observers", [this](StateArchive& inner) { run_.observers_.visit_state(inner); });
  return state.json();
}

/// Models of jobs first: they are overwritten soonest.
std::size_t Coordinator::State::save_more(std::size_t vectors) {
  const std::size_t saved = run_.executor_.save_more(vectors);
  return saved + run_.executor_.server().save_more(vectors - saved);
}

void Coordinator::State::visit_run(StateArchive& state) {
  state.number("version", run_.position_.updates, std::uint64_t{0}, StateArchive::any);
  state.number("gradients", run_.position_.gradients, std::uint64_t{0}, StateArchive::any);
  if (state.restoring() && !state.has("examples")) {  // as of older programs
    run_.position_.examples = run_.position_.gradients * run_.objective_.examples_per_job(0);
  } else {
    state.number("examples", run_.position_.examples, std::uint64_t{0}, StateArchive::any);
  }
  state.number("staleness_since_update", run_.staleness_since_update_, std::uint64_t{0}, StateArchive::any);
  double elapsed_s = run_.execution_.stopwatch->elapsed_s();
  state.real("train_time_s", elapsed_s);
  if (state.restoring()) run_.execution_.stopwatch->set_elapsed_s(elapsed_s);
  run_.records_.visit_state(state);
  run_.evaluations_.visit_state(state);
}

void Coordinator::State::visit_workers(StateArchive& state) {
  state.object("of_workers", [this](StateArchive& columns) {
    run_.jobs_.visit_state(columns, run_.position_.updates);
    run_.membership_.visit_state(columns);
    if (!columns.restoring()) return;
    const auto jobs = run_.jobs_.jobs();
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (run_.membership_.is_out(static_cast<int>(i)) && !jobs[i].empty()) {
        columns.refuse("jobs", "none where a worker is lost");
      }
    }
  });
  if (state.restoring() && !state.has("reasons")) return;  // as of older programs
  state.object("reasons", [this](StateArchive& reasons) { run_.membership_.visit_texts(reasons); });
}

void Coordinator::State::restore(const Checkpoint& checkpoint) {
  StateArchive state(checkpoint.state(), (checkpoint.path / "state.json").string());
  const bool same_workers = restore_coordinator(state);
  state.object("clock", [&](StateArchive& inner) { run_.events_.visit_state(inner, same_workers); });
  std::vector<std::uint64_t> models;
  state.numbers("models", models, state.length("models"), std::uint64_t{0}, StateArchive::any);
  restore_models(checkpoint, models,
                 same_workers ? ParameterServer::Restored::all : ParameterServer::Restored::momentum_alone);
  restore_observers(state, checkpoint.path);
  run_.resumed_ = true;
  if (same_workers) {
    run_.method_.start(run_.actions_);
    state.object("method", [this](StateArchive& inner) { run_.method_.visit_state(inner); });
    state.object("server", [this](StateArchive& inner) { run_.executor_.server().visit_state(inner); });
    go_on_with_jobs();
  } else {
    begin_with_other_workers();
  }
  run_.evaluations_.plan_on(run_.events_.now());
  if (run_.checkpoints_) run_.checkpoints_->resumed();
}

/// Returns whether the checkpoint is of as many workers.
bool Coordinator::State::restore_coordinator(StateArchive& state) {
  int workers = 0;
  state.object("coordinator", [&](StateArchive& inner) {
    inner.number("workers", workers, 1, most_workers);
    visit_run(inner);
    if (workers == run_.objective_.workers()) return visit_workers(inner);
    inner.object("of_workers", [&](StateArchive& columns) { run_.jobs_.restore_numbers(columns, workers); });
  });
  return workers == run_.objective_.workers();
}

void Coordinator::State::restore_models(const Checkpoint& checkpoint,
                                        const std::vector<std::uint64_t>& versions,
                                        ParameterServer::Restored what) {
  std::vector<float> model(run_.objective_.dimension());
  checkpoint.read_model(run_.objective_.layout(), model);
  ParameterServer& server = run_.executor_.server();
  server.set_model(model);
  VectorFile vectors = checkpoint.vectors(model.size());
  run_.evaluations_.restore(vectors, model, run_.position_.updates);
  server.restore(vectors, run_.position_.updates, what);
  run_.executor_.restore_jobs(run_.jobs_.jobs(), vectors, versions);
}

/// Checkpoints of older programs hold nothing of them.
void Coordinator::State::restore_observers(StateArchive& state, const std::filesystem::path& checkpoint) {
  if (state.has("observers")) {
    state.object("observers", [this](StateArchive& inner) { run_.observers_.visit_state(inner); });
  }
  run_.observers_.on_resume({checkpoint.string(), position(), run_.evaluations_.latest()});
}

/// But those that the script has out of the run by now.
void Coordinator::State::begin_with_other_workers() {
  const std::vector<int> lost = run_.events_.skip_changes();
  run_.begin();
  for (const int worker : lost) {
    run_.take_out(worker, Absence::scripted, run_.events_.now(), run_.events_.reason());
  }
}

/// In virtual time the event source knows when they end. In wall time they begin again, those that were
/// thrown away are over, and workers that failed or hung are tried again.
void Coordinator::State::go_on_with_jobs() {
  run_.membership_.complete_texts();
  if (run_.events_.knows_ends()) return require_ends();
  run_.execution_.stopwatch->resume();
  const double now = run_.events_.now();
  for (int worker = 0; worker < run_.objective_.workers(); ++worker) {
    run_.jobs_.stop(worker);
    if (run_.jobs_.is_discarding(worker)) {
      run_.take_end_of_discarded(worker, now);
    } else {
      run_.actions_.clear();
      run_.carry_out({worker, now});
    }
    for (const Absence reason : {Absence::hung, Absence::failed}) {
      run_.take_back(worker, reason, now, "the run goes on anew");
    }
  }
}

/// What the event source and the book say of jobs must agree.
void Coordinator::State::require_ends() const {
  for (int worker = 0; worker < run_.objective_.workers(); ++worker) {
    if (run_.jobs_.computes(worker) == run_.events_.is_computing(worker)) continue;
    throw std::invalid_argument(
        fmt::format("state.json: ends: expected one for each worker that computes, found worker {}", worker));
  }
}

}  // namespace tardigrad
