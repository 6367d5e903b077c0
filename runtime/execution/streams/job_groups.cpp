#include "runtime/execution/streams/job_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tardigrad {

JobGroups::Group::Group(StreamRef stream, Device server, std::size_t dimension, std::size_t most_jobs)
    : complete(stream.device()), taken(server), losses(stream.device(), most_jobs) {
  for (std::size_t i = 0; i < most_jobs; ++i) gradients.emplace_back(stream, dimension);
}

JobGroups::JobGroups(Objective& objective, Device device, const Options& options)
    : options_(options),
      stream_(device, options.name),
      gradients_(objective, stream_, options.job, options.workers) {
  for (std::size_t i = 0; i < options.groups_ahead; ++i) {
    groups_.emplace_back(stream_, options.server, objective.dimension(), options.group);
  }
  stream_.ref().synchronize();
}

/// A server writes replicas in the order of their versions, so that the newest is there last. Of that there
/// may be two in a run that has been resumed. The first wait of the server is for the whole group.
ArrivedGradient JobGroups::add(int worker, std::uint64_t number, const Replica& replica) {
  Group& group = next();
  const std::size_t place = added_.size();
  const BufferRef<float> gradient = group.gradients[place].ref();
  added_.push_back({worker, number, replica.model, gradient});
  if (place == 0 || replica.version > version_) {
    written_.clear();
    version_ = replica.version;
  }
  const bool awaited = std::ranges::find(written_, &replica.written) != written_.end();
  if (replica.version == version_ && !awaited) written_.push_back(&replica.written);
  return {gradient, place == 0 ? &group.complete : nullptr, nullptr, &group.taken};
}

void JobGroups::start() {
  Group& group = next();
  const std::vector<GradientJob> jobs = std::exchange(added_, {});
  try {
    enqueue(jobs, group);
  } catch (const DeviceError& error) {
    const std::string others = jobs.size() > 1 ? fmt::format(" and {} more", jobs.size() - 1) : "";
    throw DeviceError(error.device(), fmt::format("job {} of worker {}{} is lost: {}", jobs.front().number,
                                                  jobs.front().worker, others, told_by(stream_, error)));
  }
  group.jobs = jobs.size();
  group.collected = 0;
  ++started_;
}

void JobGroups::enqueue(std::span<const GradientJob> jobs, Group& group) {
  const StreamRef stream = stream_;
  const ProfilerRange range("job", jobs.front().number);
  stream.leave_out_on(cancelled_.get_token());
  gradients_.enqueue_gradients(jobs, group.losses.data(), [&] {
    for (const Event* const written : written_) stream.wait(*written);
    stream.wait(group.taken);
  });
  stream.leave_out_on({});
  stream.record(group.complete);
}

float JobGroups::collect() {
  Group& group = groups_[over_ % groups_.size()];
  try {
    if (group.collected == 0) group.complete.synchronize();
  } catch (const DeviceError& error) {
    throw DeviceError(error.device(), told_by(stream_, error));
  }
  const float loss = group.losses.data()[group.collected++];
  if (group.collected == group.jobs) ++over_;
  return loss;
}

}  // namespace tardigrad
