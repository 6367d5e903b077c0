#include "runtime/ranks/workers/own_workers.h"

#include <algorithm>
#include <utility>

namespace tardigrad {

OwnWorkers::OwnWorkers(RankMail& mail, Objective& objective, const std::vector<int>& workers,
                       const std::vector<Device>& devices, const JobOptions& job, OnAnswer on_answer)
    : mail_(mail),
      dimension_(objective.dimension()),
      on_answer_(std::move(on_answer)),
      lanes_(*this, objective, workers, devices, job, false) {
  constexpr std::size_t being_read = 2;
  const bool on_gpus = devices.front().backend == Backend::cuda;
  if (on_gpus) mail.landings().make(static_cast<std::size_t>(objective.workers()) + being_read);
}

void OwnWorkers::start(int worker, std::uint64_t job, const Replica& model) {
  jobs_.push_back({worker, job, &model, nullptr});
  lanes_.add({.kind = RankOrder::Kind::start, .worker = worker, .job = job});
}

bool OwnWorkers::is_ready(const RankOrder& job) { return is_past(find(job.worker, job.job)->model->written); }

RankLanes::Place OwnWorkers::begin(const RankOrder& job) {
  Job& one = *find(job.worker, job.job);
  one.gradient = &mail_.landings().take();
  return {.model = one.model->model, .gradient = {one.gradient->values, dimension_, one.gradient->device}};
}

void OwnWorkers::end(const RankAnswer& answer, const std::string& failure) {
  const auto found = find(answer.worker, answer.job);
  Landing* gradient = found->gradient;
  jobs_.erase(found);
  if (gradient && answer.kind != RankAnswer::Kind::gradient) {
    mail_.give_back(*std::exchange(gradient, nullptr));
  }
  on_answer_(answer, gradient, failure);
}

std::vector<OwnWorkers::Job>::iterator OwnWorkers::find(int worker, std::uint64_t number) {
  return std::ranges::find_if(jobs_,
                              [&](const Job& one) { return one.worker == worker && one.number == number; });
}

}  // namespace tardigrad
