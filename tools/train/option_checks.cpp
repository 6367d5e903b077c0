#include "tools/train/option_checks.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "models/precision.h"
#include "models/tridiagonal.h"
#include "runtime/coordinator/learning_rate.h"
#include "tools/options/option_table.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

[[noreturn]] void refuse_options(const std::string& message) { throw std::invalid_argument(message); }

/// Before any file is read.
void check_problem(const TrainOptions& options) {
  if (is_quadratic(options)) {
    if (!options.dataset.empty()) refuse_options("--dataset has no use with --model quadratic");
    if (options.test_share) refuse_options("--test-share has no use with --model quadratic");
    if (!options.normalise.empty()) refuse_options("--normalise has no use with --model quadratic");
    if (options.augment) refuse_options("--augment has no use with --model quadratic, which has no images");
    if (options.precision != models::Precision::fp32) {
      refuse_options(fmt::format("--precision {}: --model quadratic is computed in fp32",
                                 models::name_of(options.precision)));
    }
    if (models::is_tridiagonal(quadratic_source(options))) {
      models::parse_tridiagonal(quadratic_source(options));
      if (!options.workers) refuse_options(fmt::format("--model {} needs --workers", options.model));
    }
    if (options.epochs) refuse_options("--epochs has no use with --model quadratic, which has no examples");
    if (options.target_accuracy) {
      refuse_options("--target-accuracy has no use with --model quadratic, which has no accuracy");
    }
    if (options.eval_examples) {
      refuse_options("--eval-examples has no use with --model quadratic, which has no images");
    }
    return;
  }
  if (options.dataset.empty()) refuse_options(fmt::format("--model {} needs a --dataset", options.model));
  const bool of_folders =
      options.image_size || options.colour != data::Colour::automatic || options.skip_broken;
  if (of_folders && !options.dataset.starts_with("folder:")) {
    refuse_options(fmt::format("--image-size, --colour and --skip-broken have no use with --dataset {}",
                               options.dataset));
  }
  if (!options.data_dir.empty() && options.dataset.find(':') != std::string::npos) {
    refuse_options(fmt::format("--data-dir has no use with --dataset {}, which says itself where it lies",
                               options.dataset));
  }
}

/// Refuses what the server's optimizer has no use for.
void check_optimizer(const TrainOptions& options) {
  if (options.optimizer == Optimizer::adamw) {
    if (options.momentum != 0) {
      refuse_options("--momentum has no use with --optimizer adamw, which has --beta1 in its place");
    }
    return;
  }
  if (options.beta1 || options.beta2 || options.epsilon) {
    refuse_options("--beta1, --beta2 and --epsilon have no use without --optimizer adamw");
  }
}

/// Also refuses what the method has no use for.
void check_method(const TrainOptions& options) {
  constexpr int any_number = 1 << 20;
  static_cast<void>(
      make_method(options.method, method_options(options, options.workers.value_or(any_number), {})));
  require_use(options, {options.method});
  if (options.local_steps.value_or(1) > 1 && !options.local_lr) {
    refuse_options("--local-steps needs --local-lr");
  }
  if (options.local_lr && options.local_steps.value_or(1) == 1) {
    refuse_options("--local-lr has no use with one local step; expected --local-steps 2 or more");
  }
}

}  // namespace

void check_options(const TrainOptions& options) {
  if (!options.updates && !options.epochs && !options.time_limit && !options.target_accuracy &&
      !options.target_loss && !options.target_gradient_norm_sq && options.replay.empty()) {
    refuse_options(
        "no end given: expected --updates, --epochs, --time-limit, --target-accuracy, --target-loss or "
        "--target-gradient-norm-sq");
  }
  if (options.target_accuracy && !options.eval_every) refuse_options("--target-accuracy needs --eval-every");
  if (options.target_loss && !options.eval_every) refuse_options("--target-loss needs --eval-every");
  if (options.target_gradient_norm_sq && (!options.eval_every || !options.eval_gradient)) {
    refuse_options("--target-gradient-norm-sq needs --eval-every and --eval-gradient");
  }
  const bool follows_end = LearningRate(options.lr, options.lr_schedule).follows_progress();
  if (follows_end && !options.updates && !options.epochs && !options.time_limit) {
    refuse_options(
        fmt::format("--lr-schedule {} needs the end of the run: --updates, --epochs or --time-limit",
                    options.lr_schedule));
  }
  if (options.clock == ClockKind::virtual_time && options.compute_time == "measured") {
    refuse_options("--clock virtual needs a delay model: --compute-time with anything but measured");
  }
  check_method(options);
  check_optimizer(options);
  check_problem(options);
}

}  // namespace tardigrad
