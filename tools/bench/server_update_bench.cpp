/// The fused server update against the naive passes, a plain copy and an empty kernel, in turn in one run.
///
///     taskset -c 1 server_update_bench [--dimension D]... [--rounds R] [--workers N] [--json FILE]
///     server_update_bench --device cuda
///
/// A measurement is one update for each of N workers, in order, as DuDe's server makes them: worker i's
/// gradient, row and replica are touched once in the cycle, the mean and the model every time. So what is
/// cold and what is hot is the server's own: with 10 workers at d = 620,362 the workers' vectors (74 MB) come
/// from memory, the mean and the model (5 MB) may stay in a large cache; at d = 10 million nothing stays. The
/// copy goes likewise from gradients to replicas, in pieces for which it moves the bytes of an update. Bytes
/// are what the work needs at least: 8 a float for the copy (read and written), 32 a parameter for an update
/// with the hand-over, 28 without, 4 less by exchange or with rows in bf16. The naive passes, and updates of
/// which 16 are one pass (ServerUpdates), are credited the same 32, so that all GB/s compare as speeds. The
/// exact mean of the N rows is measured as a whole.
///
/// On a GPU that is the device's own time for the cycle as one graph: bytes/s without what launching costs,
/// which counts for small d. That is measured apart, and by the host's clock: one update on an idle device,
/// from the call that launches it to the moment when the host sees it finished, against the same for a kernel
/// that does nothing. On a CPU there is no such launch.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/empty_kernel.h"
#include "kernels/mean_of_rows.h"
#include "kernels/server_update.h"
#include "kernels/server_update_naive.h"
#include "tools/bench/support/measurements.h"
#include "tools/bench/support/paired.h"
#include "tools/bench/support/timed_device.h"

namespace tardigrad::bench {
namespace {

/// A copy of so many vectors moves the bytes of one update.
constexpr std::size_t vectors_per_copy = 4;

/// Vectors of one length side by side in a device's memory, all with the same values.
template <typename Device, typename T>
class Vectors {
 public:
  Vectors(const Device& device, std::size_t count, const std::vector<T>& values)
      : stride_((values.size() + 63) / 64 * 64),
        memory_(static_cast<T*>(device.allocate(count * stride_ * sizeof(T)).release())) {
    const std::size_t bytes = values.size() * sizeof(T);
    device.fill(at(0), values.data(), bytes);
    for (std::size_t i = 1; i < count; ++i) device.copy(at(i), at(0), bytes);
  }

  T* at(std::size_t i) const { return memory_.get() + i * stride_; }
  std::size_t stride() const { return stride_; }

 private:
  std::size_t stride_;
  std::unique_ptr<T, typename Device::Free> memory_;
};

std::vector<float> random_values(std::size_t count) {
  std::vector<float> values(count);
  std::minstd_rand random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::generate(values.begin(), values.end(), [&] { return uniform(random); });
  return values;
}

std::vector<Bf16> narrowed(const std::vector<float>& values) {
  std::vector<Bf16> narrow_values(values.size());
  std::transform(values.begin(), values.end(), narrow_values.begin(),
                 [](float value) { return narrow(value); });
  return narrow_values;
}

/// All the vectors of a server.
template <typename Device>
class Server {
 public:
  Server(const Device& device, std::size_t dimension, std::size_t workers)
      : Server(device, workers, random_values(dimension)) {}

  std::size_t workers() const { return workers_; }
  std::size_t dimension() const { return dimension_; }

  /// DuDe's update for worker i.
  ServerUpdate update(std::size_t i, Fold fold, bool hand_over) const {
    ServerUpdate update;
    update.dimension = dimension_;
    update.gradient = gradients_.at(i);
    update.row = rows_.at(i);
    update.mean = mean_and_model_.at(0);
    update.model = mean_and_model_.at(1);
    update.hand_over = hand_over ? replicas_.at(i) : nullptr;
    update.fold = fold;
    update.mean_update = Mean::accumulate;
    update.step = true;
    update.mean_weight = 1 / static_cast<float>(workers());
    update.step_size = 1e-3F;
    return update;
  }

  ServerUpdate update_in_bf16(std::size_t i) const {
    ServerUpdate update = this->update(i, Fold::replace, true);
    update.row = nullptr;
    update.row_bf16 = rows_bf16_.at(i);
    return update;
  }

  MeanOfRows mean_of_rows() const {
    MeanOfRows mean;
    mean.dimension = dimension_;
    mean.count = workers();
    mean.rows = row_pointers_.at(0);
    mean.mean = mean_and_model_.at(0);
    return mean;
  }

  void update_naively(std::size_t i) const {
    if constexpr (std::is_same_v<Device, CpuDevice>) {
      run_naive(update(i, Fold::replace, true), scratch_.at(0));
    } else {
      launch_naive(update(i, Fold::replace, true), scratch_.at(0), device_.stream());
    }
  }

  std::size_t copies() const { return std::max<std::size_t>(1, workers_ / vectors_per_copy); }
  double bytes_of_copy() const { return 2 * sizeof(float) * static_cast<double>(floats_of_copy()); }
  void copy(std::size_t i) const {
    device_.copy(replicas_.at(i * vectors_per_copy), gradients_.at(i * vectors_per_copy),
                 floats_of_copy() * sizeof(float));
  }

 private:
  Server(const Device& device, std::size_t workers, const std::vector<float>& values)
      : device_(device),
        dimension_(values.size()),
        workers_(workers),
        mean_and_model_(device, 2, values),
        scratch_(device, 1, values),
        gradients_(device, workers, values),
        rows_(device, workers, values),
        replicas_(device, workers, values),
        rows_bf16_(device, workers, narrowed(values)),
        row_pointers_(device, 1, pointers()) {}

  std::vector<const float*> pointers() const {
    std::vector<const float*> rows;
    for (std::size_t i = 0; i < workers_; ++i) rows.push_back(rows_.at(i));
    return rows;
  }
  std::size_t floats_of_copy() const { return std::min(workers_, vectors_per_copy) * gradients_.stride(); }

  const Device& device_;
  std::size_t dimension_, workers_;
  Vectors<Device, float> mean_and_model_, scratch_, gradients_, rows_, replicas_;
  Vectors<Device, Bf16> rows_bf16_;
  Vectors<Device, const float*> row_pointers_;
};

/// Something to be measured: `times` operations that move `bytes` each at least; some are updates. Or,
/// `alone`, from launch to finish.
struct Work {
  const char* name;
  bool is_update;
  std::size_t times;
  double bytes;
  Execute execute;
  bool alone = false;
};

enum : std::size_t { copy, naive, fused };

template <typename Device>
std::vector<Work> all_work(const Device& device, const Server<Device>& server) {
  const auto updates = [&](const char* name, auto update_of, bool alone = false) {
    return Work{name,
                true,
                server.workers(),
                update_of(std::size_t{0}).bytes(),
                [&device, update_of](std::size_t i) { device.execute(update_of(i)); },
                alone};
  };
  const auto update = [&server](Fold fold, bool hand_over) {
    return [&server, fold, hand_over](std::size_t i) { return server.update(i, fold, hand_over); };
  };
  // All of them at the first of so many, and nothing at the others.
  const auto in_one_pass = [&](std::size_t i) {
    if (i % ServerUpdates::most != 0) return;
    ServerUpdates pass;
    for (; pass.count < std::min(ServerUpdates::most, server.workers() - i); ++pass.count) {
      pass.updates[pass.count] = server.update(i + pass.count, Fold::replace, true);
    }
    device.execute(pass);
  };
  std::vector<Work> works = {
      {"copy", false, server.copies(), server.bytes_of_copy(), [&server](std::size_t i) { server.copy(i); }},
      {"naive passes", true, server.workers(), server.update(0, Fold::replace, true).bytes(),
       [&server](std::size_t i) { server.update_naively(i); }},
      updates("fused", update(Fold::replace, true)),
      updates("fused, no hand-over", update(Fold::replace, false)),
      updates("fused, exchange", update(Fold::exchange, true)),
      updates("exchange, no hand-over", update(Fold::exchange, false)),
      updates("fused, rows in bf16", [&server](std::size_t i) { return server.update_in_bf16(i); }),
      {"fused, all in one pass", true, server.workers(), server.update(0, Fold::replace, true).bytes(),
       in_one_pass},
      {"exact mean of the rows", false, 1, server.mean_of_rows().bytes(),
       [&](std::size_t) { device.execute(server.mean_of_rows()); }}};
  if constexpr (!std::is_same_v<Device, CpuDevice>) {
    works.push_back({"empty kernel, launched alone", false, server.workers(), 0,
                     [&device](std::size_t) { device.execute(EmptyKernel{}); }, true});
    works.push_back(updates("fused, launched alone", update(Fold::replace, true), true));
  }
  return works;
}

template <typename Device>
Contender contender(const Device& device, const Work& work) {
  if constexpr (!std::is_same_v<Device, CpuDevice>) {
    if (work.alone) return device.from_launch_to_finish(work.name, work.times, work.execute);
  }
  return device.in_a_row(work.name, work.times, work.execute);
}

/// What the measurements say of one work, and in the names of `--json`.
nlohmann::ordered_json findings(const Comparison& times, const std::vector<Work>& works, std::size_t i) {
  const Work& work = works[i];
  const auto per_operation = [&](std::size_t j) { return static_cast<double>(works[j].times); };
  const double time_s = times.median_s(i) / per_operation(i);
  nlohmann::ordered_json found{{"operations", work.times}, {"time_us", time_s * 1e6}};
  if (work.alone) {
    if (work.is_update) found["over_empty_kernel"] = times.ratio(i, i - 1);
    return found;
  }
  const double copy_over_this = times.ratio(copy, i) / per_operation(copy) * per_operation(i);
  found["gb_per_s"] = work.bytes / time_s * 1e-9;
  found["share_of_copy"] = work.bytes / works[copy].bytes * copy_over_this;
  if (work.is_update) found["naive_over_this"] = times.ratio(naive, i);
  return found;
}

void print(const char* name, const nlohmann::ordered_json& found) {
  const auto column = [&](const char* member, const char* format, double scale = 1) {
    return found.contains(member) ? fmt::format(fmt::runtime(format), found[member].get<double>() * scale)
                                  : "";
  };
  fmt::print("  {:<28} {:>10} {:>8} {:>14} {:>13} {:>13}\n", name, column("time_us", "{:.1f}"),
             column("gb_per_s", "{:.1f}"), column("share_of_copy", "{:.0f} %", 100),
             column("naive_over_this", "{:.2f}×"), column("over_empty_kernel", "{:.2f}×"));
}

struct Options {
  std::vector<std::size_t> dimensions = {620362, 10000000};
  std::size_t rounds = 31;
  std::size_t workers = 10;
};

template <typename Device>
void run(const Options& options, Measurements& measurements) {
  const Device device;
  for (const std::size_t dimension : options.dimensions) {
    const Server<Device> server(device, dimension, options.workers);
    const std::vector<Work> works = all_work(device, server);
    std::vector<Contender> contenders;
    contenders.reserve(works.size());
    for (const Work& work : works) contenders.push_back(contender(device, work));
    const Comparison times(std::move(contenders), options.rounds);
    fmt::print("d = {}, {} workers in turn\n  {:<28} {:>10} {:>8} {:>14} {:>13} {:>13}\n", dimension,
               options.workers, "", "µs", "GB/s", "share of copy", "naive / this", "this / empty");
    for (std::size_t i = 0; i < works.size(); ++i) {
      const nlohmann::ordered_json found = findings(times, works, i);
      print(works[i].name, found);
      measurements.add({{"dimension", dimension}, {"work", works[i].name}}, found);
    }
  }
}

}  // namespace
}  // namespace tardigrad::bench

int main(int argc, char** argv) {
  using namespace tardigrad;
  bench::Options options;
  std::string device = "cpu";
  std::string json;
  CLI::App app(
      "Times the fused server update against the naive passes, a copy and an empty kernel; medians.");
  app.add_option("--dimension", options.dimensions)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--workers", options.workers)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--device", device)->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str();
  app.add_option("--json", json, "Adds what was measured to this file, a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  try {
    bench::Measurements measurements("server_update", device, json);
    if (device == "cpu") {
      bench::run<bench::CpuDevice>(options, measurements);
#if TARDIGRAD_CUDA
    } else {
      bench::run<bench::CudaDevice>(options, measurements);
    }
#else
    } else {
      throw std::invalid_argument("--device: cuda is not in this build");
    }
#endif
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "server_update_bench: {}\n", error.what());
    return 2;
  }
}
