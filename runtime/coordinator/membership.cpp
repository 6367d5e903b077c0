#include "runtime/coordinator/membership.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "runtime/base/state_column.h"

namespace tardigrad {

bool Membership::take_out(int worker, Absence reason, const std::string& text) {
  const bool was_out = is_out(worker);
  of(worker).holds[index_of(reason)] = true;
  if (!was_out) texts_[worker] = text;
  return !was_out;
}

bool Membership::take_back(int worker, Absence reason) {
  if (!std::exchange(of(worker).holds[index_of(reason)], false) || is_out(worker)) return false;
  texts_.erase(worker);
  return true;
}

bool Membership::may_come_back(int worker, double now) const {
  if (is_out(worker, Absence::scripted) || is_out(worker, Absence::failed)) return false;
  return !is_out(worker, Absence::hung) || now <= of(worker).hopeless_at;
}

std::string Membership::describe() const {
  constexpr std::size_t most_named = 3;
  std::vector<std::string> named;
  for (const auto& [worker, text] : texts_) {
    if (named.size() == most_named) break;
    named.push_back(fmt::format("worker {} ({})", worker, text));
  }
  const std::size_t others = texts_.size() - named.size();
  return fmt::format("{}{}", fmt::join(named, ", "), others > 0 ? fmt::format(" and {} more", others) : "");
}

void Membership::visit_state(StateArchive& state) {
  visit("scripted", Absence::scripted, state);
  visit("hung", Absence::hung, state);
  visit("failed", Absence::failed, state);
}

void Membership::visit(const char* name, Absence reason, StateArchive& state) {
  visit_column(
      workers_.size(), [&](std::size_t i) -> bool& { return workers_[i].holds[index_of(reason)]; },
      [&](auto& values) { state.flags(name, values, workers_.size()); });
}

void Membership::visit_texts(StateArchive& state) {
  std::vector<int> workers;
  std::vector<std::string> texts;
  for (const auto& [worker, text] : texts_) {
    workers.push_back(worker);
    texts.push_back(text);
  }
  state.workers("workers", workers, static_cast<int>(workers_.size()));
  state.texts("texts", texts, workers.size());
  texts_.clear();
  for (std::size_t i = 0; i < workers.size(); ++i) texts_[workers[i]] = texts[i];
}

void Membership::complete_texts() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].any()) texts_.emplace(static_cast<int>(i), "since before the checkpoint");
  }
}

}  // namespace tardigrad
