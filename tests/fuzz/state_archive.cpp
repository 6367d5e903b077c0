// The state of a run, as a checkpoint's manifest holds it: the first byte chooses whose.
#include "runtime/base/state_archive.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/base/json_text.h"
#include "runtime/methods/method.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

namespace {

constexpr int workers = 4;

/// One of every kind of member.
struct Members {
  int count = 0;
  std::uint64_t round = 0;
  double time = 0;
  bool warm = false;
  std::vector<int> waiting;
  std::vector<std::uint64_t> versions;
  std::vector<double> ends;
  std::vector<bool> pending;

  void visit_state(StateArchive& state) {
    state.number("count", count, -2, 5);
    state.number("round", round, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max());
    state.object("inner", [this](StateArchive& inner) { inner.real("time", time); });
    state.flag("warm", warm);
    state.workers("waiting", waiting, workers);
    state.numbers("versions", versions, workers, std::uint64_t{0}, std::uint64_t{1} << 40);
    state.reals("ends", ends, 2);
    state.flags("pending", pending, 3);
  }
};

/// What was taken is saved as it came: the second time round exactly.
template <typename State>
void restore(State& state, const StateArchive::Json& json) {
  StateArchive archive(json, "state");
  state.visit_state(archive);
  StateArchive saved;
  state.visit_state(saved);
  StateArchive again(saved.json(), "state");
  state.visit_state(again);
  StateArchive saved_again;
  state.visit_state(saved_again);
  fuzz::require(saved.json() == saved_again.json(), "the same state, saved and restored");
}

/// A method goes on from whatever state it has taken.
void restore_method(const std::string& name, const StateArchive::Json& json) {
  const auto method = make_method(name, {.workers = workers, .lr = 0.1, .compute_times = {1, 2, 3, 4}});
  Actions actions;
  method->start(actions);
  restore(*method, json);
  for (std::uint64_t k = 0; k < 32; ++k) {
    actions.clear();
    method->arrive({.worker = static_cast<int>(k * 7 % workers), .version = k, .compute_time = 1}, actions);
    for (const Action& action : actions) {
      if (const auto* hand_over = std::get_if<HandOver>(&action)) {
        fuzz::require(hand_over->worker >= 0 && hand_over->worker < workers, "a worker of the run");
      }
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto json = parse_json<StateArchive::Json>(fuzz::as_text(data, size).substr(1));
  if (json.is_discarded()) return 0;
  const std::vector<std::string> methods = method_names();
  const std::size_t whose = data[0] % (methods.size() + 1);
  fuzz::taken_or_refused([&] {
    if (whose < methods.size()) return restore_method(methods[whose], json);
    Members members;
    restore(members, json);
  });
  return 0;
}
