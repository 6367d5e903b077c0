#include "tools/train/on_ranks.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "models/tridiagonal.h"
#include "runtime/base/json_text.h"
#include "runtime/base/parse_number.h"
#include "runtime/base/say.h"
#include "runtime/checkpoint/durable_file.h"
#include "runtime/ranks/agreement.h"
#include "runtime/ranks/mpi_job.h"
#include "runtime/ranks/servers/rank_shard.h"
#include "runtime/ranks/workers/rank_worker.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/train/abandoned.h"
#include "tools/train/build_info.h"
#include "tools/train/interrupt.h"
#include "tools/train/version.h"

namespace tardigrad {
namespace {

/// Whether this process has called agree(), which it may but once.
bool& has_agreed() {
  static bool agreed = false;
  return agreed;
}

void agree_once(Transport& ranks, const RankStatus& status) {
  has_agreed() = true;
  agree(ranks, status);
}

/// How many processes were started together, as far as the launcher says so.
int launched_processes() {
  const auto launch = launch_of_process();
  return launch ? launch->size : 1;
}

class Hash {
 public:
  Hash() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  template <typename T>
  void add(std::span<const T> values) {
    XXH3_64bits_update(state_.get(), values.data(), values.size_bytes());
  }
  std::string text() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

std::string hash_of_labels(const data::Images& images) {
  Hash hash;
  hash.add(std::span<const data::Label>(images.labels));
  return hash.text();
}

/// Of the examples of a rank's workers, alone: where images are mapped, no others are then read.
std::map<std::string, std::string> facts_of_rank(int rank, const RunSetup& setup,
                                                 const data::Dataset* dataset) {
  if (!setup.classification) return {};
  const data::Images& images = dataset->train;
  const std::size_t size = images.shape.size();
  const auto& shares = setup.classification->shares();
  Hash hash;
  for (const int worker : setup.ranks->layout.workers_of(rank)) {
    for (const std::uint32_t example : shares[static_cast<std::size_t>(worker)]) {
      if (images.in_floats()) {
        hash.add(std::span<const float>(images.values).subspan(example * size, size));
      } else {
        hash.add(images.bytes().subspan(example * size, size));
      }
    }
  }
  return {{"the training data's hash (of its workers' shares)", hash.text()}};
}

/// What a run's numbers depend on, but for what rank 0 alone looks at.
std::map<std::string, std::string> facts_of(const TrainOptions& options, const RunSetup& setup,
                                            const data::Dataset* dataset) {
  std::map<std::string, std::string> facts;
  facts["the program"] = fmt::format("{} {}", program_version, commit_of_build());
  for (const OptionRow& row : rows_of(Record::run)) {
    if (!row.says_where) facts[row.flag()] = text_of(row.value(options));
  }
  facts["--workers-per-rank"] = options.workers_per_rank;
  facts["--server-shards"] = fmt::format("{}", options.server_shards);
  facts["the number of workers"] = fmt::format("{}", setup.objective->workers());
  facts["the number of parameters"] = fmt::format("{}", setup.objective->dimension());
  facts["the network"] = setup.network;
  if (dataset) facts["the hash of the training labels"] = hash_of_labels(dataset->train);
  facts["the hash of the partition"] = [&] {
    const std::string shares = json_text(to_json(setup.classes));
    Hash hash;
    hash.add(std::span<const char>(shares));
    return hash.text();
  }();
  facts["--resume"] = options.resume.empty() ? "not given" : "given";
  if (!options.events.empty()) facts["the hash of --events"] = digest_of(options.events).xxh3;
  if (is_quadratic(options) && !models::is_tridiagonal(quadratic_source(options))) {
    facts["the hash of the problem"] = digest_of(quadratic_source(options)).xxh3;
  }
  return facts;
}

/// Which worker is on which rank, as --workers-per-rank says.
RankLayout lay_out(const TrainOptions& options, int workers, int ranks) {
  const int servers = options.server_shards;
  if (ranks <= servers) {
    throw std::invalid_argument(
        fmt::format("--server-shards {}: each is on a rank without workers, and there are {} ranks; expected "
                    "{} or more",
                    servers, ranks, servers + 1));
  }
  if (workers < ranks - servers) {
    throw std::invalid_argument(
        fmt::format("--ranks mpi: {} ranks, and the run has {} workers; expected {} or fewer, {} of them "
                    "without workers",
                    ranks, workers, workers + servers, servers == 1 ? "one" : std::to_string(servers)));
  }
  if (options.workers_per_rank.empty()) return {workers, ranks, {}, servers};
  const auto counts = parse_whole_numbers(options.workers_per_rank, 1, workers);
  const int counted = counts ? static_cast<int>(counts->size()) : 0;
  const bool with_rank_0 = servers == 1 && counted == ranks;
  const bool fits = counted == ranks - servers || with_rank_0;
  if (!fits || std::accumulate(counts->begin(), counts->end(), 0) != workers) {
    throw std::invalid_argument(fmt::format(
        "--workers-per-rank {}: expected a whole number, 1 or more, for each of the ranks {} to "
        "{}{}, in all the {} workers",
        options.workers_per_rank, servers, ranks - 1, servers == 1 ? ", or for rank 0, too" : "", workers));
  }
  return {workers, ranks, *counts, ranks - counted};
}

void require_devices(const Devices& devices, const Objective& objective, const TrainOptions& options) {
  const Device first = devices.workers.front();
  if (objective.runs_on(first.backend)) return;
  throw std::invalid_argument(fmt::format("--device {} is {}, and {} does not run there", options.device,
                                          first.name(), options.model));
}

/// Those of a rank. Ranks of one machine that see all its GPUs begin behind those of the ranks before them,
/// or where there are not enough for that, evenly spread.
std::vector<Device> devices_of_rank(const RunRanks& ranks, int rank, std::vector<Device> devices) {
  if (devices.front().backend == Backend::cpu) return devices;
  const Transport& transport = *ranks.transport;
  const int machine = transport.first_on_machine_of(rank);
  struct Taken {
    std::size_t gpus = 0;
    std::size_t ranks = 0;
  } before, all;
  for (int other = machine; other < transport.size(); ++other) {
    if (transport.first_on_machine_of(other) != machine) continue;
    const bool has_server = std::cmp_less(other, ranks.shards) && ranks.server.backend == Backend::cuda;
    const auto gpus = std::max<std::size_t>(has_server ? 1 : 0, ranks.layout.workers_of(other).size());
    if (other == rank) before = all;
    all.gpus += gpus;
    all.ranks += gpus > 0 ? 1 : 0;
  }
  const bool enough = all.gpus <= devices.size();
  const std::size_t first =
      enough ? before.gpus : before.ranks * devices.size() / std::max<std::size_t>(all.ranks, 1);
  std::rotate(devices.begin(), devices.begin() + static_cast<std::ptrdiff_t>(first % devices.size()),
              devices.end());
  return devices;
}

/// What the server of a rank is on, or its shard.
Device server_of_rank(const RunRanks& ranks, int rank, const std::vector<Device>& devices) {
  if (rank == 0 || ranks.server.backend == Backend::cpu) return ranks.server;
  return devices_of_rank(ranks, rank, devices).front();
}

/// Makes what this rank has of the run, and returns what it does until rank 0 lets it leave: that returns
/// whether all ranks leave together.
std::function<bool()> what_to_serve(Transport& ranks, const Devices& devices, const RunSetup& setup) {
  const std::size_t shards = setup.ranks->shards;
  const auto rank = static_cast<std::size_t>(ranks.rank());
  const std::size_t dimension = setup.objective->dimension();
  if (rank < shards) {
    auto shard =
        std::make_shared<RankShard>(ranks, dimension, cut_into_shards(dimension, shards)[rank],
                                    setup.objective->workers(), setup.method->memory(), setup.options.server,
                                    server_of_rank(*setup.ranks, ranks.rank(), devices.workers));
    return [shard] { return shard->serve(); };
  }
  const std::vector<Device> here = devices_of_rank(*setup.ranks, ranks.rank(), devices.workers);
  std::optional<KeptModel> kept;
  if (setup.ranks->replicated) {
    kept = {.options = setup.options.server,
            .device = server_of_rank(*setup.ranks, ranks.rank(), devices.workers)};
  }
  auto worker =
      std::make_shared<RankWorker>(ranks, *setup.objective, setup.ranks->layout.workers_of(ranks.rank()),
                                   here, setup.options.job, kept, shards);
  return [worker] { return worker->serve(); };
}

/// NCCL wants a GPU for each rank.
std::map<std::string, std::string> own_facts(const RunRanks& ranks, const Devices& devices) {
  if (!ranks.by_nccl()) return {};
  const Transport& transport = *ranks.transport;
  const Device gpu = devices_of_rank(ranks, transport.rank(), devices.workers).front();
  return {{"the GPU that keeps the model (--sync-over nccl)",
           fmt::format("{} of the machine of rank {}", bus_address(gpu),
                       transport.first_on_machine_of(transport.rank()))}};
}

std::string name_of_this(const Transport& ranks) {
  std::array<char, 256> host{};
  static_cast<void>(gethostname(host.data(), host.size() - 1));
  return fmt::format("rank {} on {}", ranks.rank(), host.data());
}

/// Ends this process, and with it the job.
void end_job(const Transport& ranks, const std::exception& error, int exit_code) {
  say_line("tardigrad: {}: {}", name_of_this(ranks), error.what());
  end_program(exit_code);
}

}  // namespace

void require_one_process(const std::string& command) {
  const int processes = launched_processes();
  if (processes == 1) return;
  throw std::invalid_argument(
      fmt::format("mpirun has started {} processes, and {} is one; expected it without mpirun, or train with "
                  "--ranks mpi",
                  processes, command));
}

Transport* join_ranks(const TrainOptions& options, const OwnParts& own) {
  const int processes = launched_processes();
  const bool is_command = !own.take_model;
  if (!options.ranks) {
    if (processes == 1 || !is_command) return nullptr;
    throw std::invalid_argument(fmt::format(
        "mpirun has started {} processes, and each would train by itself; expected --ranks mpi", processes));
  }
  if (!is_command) throw std::invalid_argument("--ranks mpi: it is for the command tardigrad train alone");
  const int fewest = options.server_shards + 1;
  const std::string expected = fmt::format(
      "expected {} or more, such as mpirun -n {} tardigrad train ... --ranks mpi", fewest, fewest + 3);
  const bool launched = launch_of_process() || std::getenv("PMIX_RANK");
  if (!launched && built_with_mpi) {
    throw std::invalid_argument(
        fmt::format("--ranks mpi: this is one process, started by itself; {}", expected));
  }
  Transport& ranks = mpi_job();
  if (ranks.size() < 2) throw std::invalid_argument(fmt::format("--ranks mpi: found one rank; {}", expected));
  return &ranks;
}

TrainOptions options_on_rank(const TrainOptions& options, const Transport& ranks) {
  constexpr int most = 1'000'000;
  TrainOptions here = options;
  if (here.device == "auto") here.device = "cpu";
  // Which of rank 0's GPUs it is does not matter here, where there may be fewer.
  if (ranks.rank() > 0 && here.server_device.starts_with("cuda")) here.server_device = "cuda:0";
  if (here.workers || has_no_data(here)) return here;
  const auto counts = parse_whole_numbers(here.workers_per_rank, 0, most);
  if (counts) {
    here.workers = std::accumulate(counts->begin(), counts->end(), 0);
  } else if (here.batch_size.sizes().size() == 1 && !Delays::list_length(here.compute_time)) {
    here.workers = std::max(1, ranks.size() - here.server_shards);
  }
  return here;
}

RunRanks place_on_ranks(const TrainOptions& options, const Devices& devices, const Objective& objective,
                        Transport& transport) {
  require_devices(devices, objective, options);
  const bool on_gpu = options.sync_over == SyncOver::nccl || !options.server_device.empty();
  RunRanks ranks{.transport = &transport,
                 .layout = lay_out(options, objective.workers(), transport.size()),
                 .replicated = adds_up_by_all_reduce(options),
                 .shards = static_cast<std::size_t>(options.server_shards),
                 .on_gpus = devices.workers.front().backend == Backend::cuda,
                 .server = on_gpu ? devices.server : Device{}};
  if (!ranks.layout.workers_of(0).empty()) ranks.own_devices = devices_of_rank(ranks, 0, devices.workers);
  return ranks;
}

void plan_for_rank(PlannedRun& run, const RunRanks& ranks, int rank) {
  const std::vector<int>& of_workers = ranks.layout.of_workers();
  run.rank = rank;
  run.workers_on_rank = ranks.layout.workers_of(rank);
  run.replicated_on_ranks = ranks.replicated;
  const bool has_server = ranks.replicated || std::cmp_less(rank, ranks.shards);
  if (has_server) run.server_of_rank = server_of_rank(ranks, rank, run.devices.workers);
  run.devices.workers = devices_of_rank(ranks, rank, run.devices.workers);
  run.vectors_of_rank = ranks.vectors_on(has_server ? run.server_of_rank : run.devices.workers.front());
  run.shares_with_rank_0 = ranks.shares_vectors(rank);
  run.workers_sharing = static_cast<std::size_t>(
      std::ranges::count_if(of_workers, [&](int one) { return ranks.shares_vectors(one); }));
}

std::vector<MemoryPlan> plan_memory_of_ranks(const PlannedRun& run, const RunRanks& ranks) {
  std::vector<MemoryPlan> plans;
  for (int rank = 0; rank < ranks.transport->size(); ++rank) {
    PlannedRun there = run;
    plan_for_rank(there, ranks, rank);
    plans.push_back(plan_memory(there));
  }
  return plans;
}

std::unique_ptr<EndOfRanks> agree_on_run(Transport& ranks, const TrainOptions& options, const RunSetup& setup,
                                         const data::Dataset* dataset) {
  agree_once(ranks, {.facts = facts_of(options, setup, dataset),
                     .facts_of_rank = [&](int rank) { return facts_of_rank(rank, setup, dataset); },
                     .own = own_facts(*setup.ranks, setup.devices)});
  if (options.show_memory) return nullptr;  // the others leave by themselves
  return std::make_unique<EndOfRanks>(ranks, setup.ranks->shards, anything_abandoned);
}

void compute_for_rank_0(Transport& ranks, const TrainOptions& options, RunControl& control,
                        const OwnParts& own) {
  const Devices devices = choose_devices(options);
  const auto dataset = load_data(options, data::PixelAccess::mapped);  // rank 0 checks what it has
  const RunSetup setup = set_up_run(options, devices, dataset, own, &ranks);
  const auto serve =
      options.show_memory ? std::function([] { return true; }) : what_to_serve(ranks, devices, setup);
  static_cast<void>(control.run());  // a signal that asks all ranks to end is rank 0's to follow
  auto facts = facts_of(options, setup, dataset.get());
  facts.merge(facts_of_rank(ranks.rank(), setup, dataset.get()));
  agree_once(ranks, {.facts = std::move(facts), .own = own_facts(*setup.ranks, devices)});
  try {
    if (!serve()) abandon(nullptr);  // the job, in which not all ranks come to its end
  } catch (const DeviceError& error) {
    constexpr int device_lost = 3;
    end_job(ranks, error, device_lost);
  } catch (const std::exception& error) {
    constexpr int internal_error = 1;
    end_job(ranks, error, internal_error);
  }
}

bool leaves_it_to_rank_0(const std::string& trouble) {
  if (launched_processes() == 1 || has_agreed()) return false;
  if (built_with_mpi) {
    try {
      agree_once(mpi_job(), {.trouble = trouble});
    } catch (const std::invalid_argument&) {  // this rank's own trouble, or another's besides
    } catch (const RefusedByRank0&) {
    }
  }
  return !speaks_for_all_ranks();
}

}  // namespace tardigrad
