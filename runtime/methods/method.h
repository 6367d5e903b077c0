#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tardigrad {

/// A gradient has arrived.
struct Arrival {
  int worker = 0;
  std::uint64_t version = 0;  ///< of the model it was computed at
};

// What a method can want done with an arrival. Notation of the paper's tables: g the gradient that arrived,
// T_i row i of the table, ū the mean, x the model with version number k, γ the step size, n the number of
// workers.

/// T' = T_i + weight·(g − T_i) (weight 1 replaces the row), ū ← ū + (T' − T_i)/n.
struct FoldRow {
  int worker = 0;
  float weight = 1;
};

/// ū ← ū + weight·g; with `restart`, ū counts as 0 before.
struct Accumulate {
  float weight = 1;
  bool restart = false;
};

/// x ← x − γ·scale·ū, or g in place of ū for methods that keep no mean; k ← k + 1.
struct Step {
  double scale = 1;
};

/// Worker's replica ← x; the worker starts its next job there.
struct HandOver {
  int worker = 0;
};

using Action = std::variant<FoldRow, Accumulate, Step, HandOver>;
using Actions = std::vector<Action>;  ///< carried out in order

/// What a method needs the server to keep besides the model.
struct ServerMemory {
  bool table = false;  ///< a row per worker
  bool mean = false;   ///< ū
};

/// The decision part of an asynchronous SGD method: arrivals in, actions out. It holds no vector and knows no
/// device, clock or stream; the Server does the arithmetic. It serves both clocks, so what it decides must
/// depend on nothing but the arrivals.
class Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;

  virtual ServerMemory memory() const = 0;

  /// The actions before the first arrival. Every method here hands x⁰ to all workers.
  virtual void start(Actions& actions) = 0;

  /// Appends the actions for one arrival.
  virtual void arrive(const Arrival& arrival, Actions& actions) = 0;
};

struct MethodOptions {
  int workers = 0;  ///< n ≥ 1
  int gather = 0;   ///< `--gather`; 0 means not given
};

/// The method called `name` on the command line. Throws std::invalid_argument for an unknown name (naming the
/// nearest known one) and for options the method has no use for or that are out of range.
std::unique_ptr<Method> make_method(std::string_view name, const MethodOptions& options);

/// The names make_method knows.
std::vector<std::string> method_names();

/// Appends a hand-over to every worker.
void hand_over_to_all(int workers, Actions& actions);

// One constructor a method; each file cites what it implements.
std::unique_ptr<Method> make_asgd(const MethodOptions& options);
std::unique_ptr<Method> make_dude(const MethodOptions& options);
std::unique_ptr<Method> make_sync(const MethodOptions& options);

}  // namespace tardigrad
