#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "runtime/execution/memory_plan.h"
#include "runtime/ranks/execution_on_ranks.h"
#include "runtime/ranks/transport.h"
#include "tools/options/train_options.h"
#include "tools/train/own_parts.h"
#include "tools/train/run_control.h"
#include "tools/train/run_setup.h"

namespace tardigrad {

/// Throws std::invalid_argument where mpirun has started several processes of a command that each would do.
void require_one_process(const std::string& command);

/// Joins the other ranks where the options say so (--ranks); returns null where they do not. Throws
/// std::invalid_argument where that does not fit how this process was started. Programs that call train() may
/// be several for reasons of their own, and have no ranks.
Transport* join_ranks(const TrainOptions& options, const OwnParts& own);

/// Returns the options as they hold on this rank, with the number of workers that the ranks make.
TrainOptions options_on_rank(const TrainOptions& options, const Transport& ranks);

/// Returns which worker is on which rank, as --workers-per-rank says. Throws std::invalid_argument where
/// there are more ranks than workers, or where the model, or --sync-over, is not for these devices.
RunRanks place_on_ranks(const TrainOptions& options, const Devices& devices, const Objective& objective,
                        Transport& transport);

/// Says what the memory of one of the ranks depends on besides.
void plan_for_rank(PlannedRun& run, const RunRanks& ranks, int rank);

/// Plans the memory of all ranks, given the run of any of them.
std::vector<MemoryPlan> plan_memory_of_ranks(const PlannedRun& run, const RunRanks& ranks);

/// Compares the run with that of the other ranks (agree()), and returns what lets them leave; null with
/// --show-memory, where they do so by themselves. Throws what agree() throws.
std::unique_ptr<EndOfRanks> agree_on_run(Transport& ranks, const TrainOptions& options, const RunSetup& setup,
                                         const data::Dataset* dataset);

/// Computes gradients until rank 0 ends the run, on any other rank. Throws as train() does before the run,
/// and RefusedByRank0; what fails later ends the process, and with it the job.
void compute_for_rank_0(Transport& ranks, const TrainOptions& options, RunControl& control,
                        const OwnParts& own);

/// Tells the other ranks, if there are any and they do not know yet, that the run cannot begin here. Returns
/// whether rank 0 says why.
bool leaves_it_to_rank_0(const std::string& trouble);

}  // namespace tardigrad
