#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tardigrad {

class StateArchive;

/// Tells a method that a gradient has arrived.
struct Arrival {
  int worker = 0;
  std::uint64_t version = 0;    ///< of the model it was computed at
  std::uint64_t staleness = 0;  ///< k − version
  double compute_time = 0;      ///< of its job, on the run's clock
};

// What a method can want done with an arrival. Notation of the paper's tables: g the gradient that arrived,
// T_i row i of a table, ū the mean, x the model with version number k, γ the step size, n the number of
// workers.

enum class Table { main, next };

/// Folds g into a row: T_i ← T' = T_i + weight·(g − T_i), so that weight 1 replaces the row. With
/// `update_mean`, ū ← ū + (T' − T_i)/m, m the number of rows that count (all n, unless CountRow says
/// otherwise). Without it the fold is lazy: one AverageRows before a step makes up for any number of them.
struct FoldRow {
  int worker = 0;
  float weight = 1;
  Table table = Table::main;
  bool update_mean = true;  ///< only with the main table, and a row that counts
  bool operator==(const FoldRow&) const = default;
};

/// Sets ū ← 1/m Σ T_i, exactly, over the m rows of the main table that count; 0 where none does.
struct AverageRows {
  bool operator==(const AverageRows&) const = default;
};

/// Makes a row of the main table count in the mean from now on, or not. ū itself stays as it is: an
/// AverageRows before a step sets it anew. A row that does not count may be folded into, lazily.
///
/// With `update_mean` ū moves along, by that row alone: ū ← ū + (T_i − ū)/m as it enters, of m with it, and
/// ū ← ū − (T_i − ū)/m as it leaves, of m without it; 0 where none is left. Nothing happens to a row that
/// counts, or does not, already.
struct CountRow {
  int worker = 0;
  bool counts = true;
  bool update_mean = false;
  bool operator==(const CountRow&) const = default;
};

/// Makes the main and the next table change places, with what counts in them. Nothing is copied.
struct SwapTables {
  bool operator==(const SwapTables&) const = default;
};

/// Adds g to a sum: ū ← ū + weight·g. With `restart`, ū counts as 0 before.
struct Accumulate {
  float weight = 1;
  bool restart = false;
  bool operator==(const Accumulate&) const = default;
};

/// Corrects the mean by what g differs from a row h, and folds g into that row: s ← s + weight·(g − h), and
/// then as FoldRow{worker, 1}. s, the corrected mean (CA²FL's), is what steps go along where it is kept; with
/// `restart` it counts as ū before. h is T_i; with `keep` it is kept, as K_keep, for the same worker to be
/// measured against once more, as `kept`.
struct Correct {
  int worker = 0;  ///< whose row counts
  float weight = 1;
  bool restart = false;
  std::optional<int> keep = {};  ///< the kept row that T_i goes to
  std::optional<int> kept = {};  ///< the kept row that is h; neither with `keep` nor with `restart`
  bool operator==(const Correct&) const = default;
};

/// Scales ū ← factor·ū, for a mean that turns out to be of more or fewer gradients than its weights were for.
/// It is not the same as a Step of another scale, which momentum, weight decay and clipping would see
/// differently.
struct ScaleMean {
  double factor = 1;
  bool operator==(const ScaleMean&) const = default;
};

/// Makes an update: x ← x − γ·scale·ū, or s in place of ū for methods that keep a corrected mean, or g for
/// methods that keep no mean; k ← k + 1.
///
/// What a run reports as the staleness of an update is the largest among the arrival that made it and those
/// that went into ū since the update before (Accumulate, Correct, or FoldRow with update_mean). Lazy folds do
/// not count: the update they take part in may still be far off.
struct Step {
  double scale = 1;
  bool operator==(const Step&) const = default;
};

/// Hands x to a worker for one job. It starts at once, or, if the worker has jobs already, behind them, first
/// in, first out.
struct HandOver {
  int worker = 0;
  bool operator==(const HandOver&) const = default;
};

/// Throws away the job that a worker is computing (not one queued behind it): it never arrives.
struct Discard {
  int worker = 0;
  bool operator==(const Discard&) const = default;
};

using Action = std::variant<FoldRow, AverageRows, CountRow, SwapTables, Accumulate, Correct, ScaleMean, Step,
                            HandOver, Discard>;
using Actions = std::vector<Action>;  ///< carried out in order

/// Says how jobs in flight lie, and with them the models that must be kept.
enum class JobSpread {
  rounds,    ///< all start from one model
  one_each,  ///< at most one a worker, each from a model of its own
  anywhere,  ///< n in all, any of them at the same worker
};

/// Says what a method needs to be kept besides the model.
struct ServerMemory {
  int tables = 0;     ///< 0, 1 or 2 (main and next), of a row per worker
  bool mean = false;  ///< ū
  JobSpread jobs = JobSpread::one_each;
  bool corrected = false;  ///< s, with a table and ū
  int kept_rows = 0;       ///< K, of s
};

/// Says what every arrival leads to, whoever comes and however old its model is: the gradient replaces its
/// worker's row, where there are rows, a step follows, and the worker is handed the new model.
struct EachArrival {
  bool folds = false;  ///< into the mean, as FoldRow does by default
  double scale = 1;    ///< of the step

  /// Returns the actions on an arrival of that worker.
  Actions of(int worker) const {
    Actions actions;
    if (folds) actions.emplace_back(FoldRow{worker});
    actions.emplace_back(Step{scale});
    actions.emplace_back(HandOver{worker});
    return actions;
  }
};

/// Decides what an asynchronous SGD method does: arrivals in, actions out. It holds no vector and knows no
/// device, event source or stream; the Server does the arithmetic. It serves wall and virtual time, so what
/// it decides must depend on nothing but the arrivals and its options.
class Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;

  virtual ServerMemory memory() const = 0;

  /// Appends the actions before the first arrival. It is called once, before arrive().
  virtual void start(Actions& actions) = 0;

  /// Appends the actions for one arrival.
  virtual void arrive(const Arrival& arrival, Actions& actions) = 0;

  /// Returns what each arrival leads to from now on, as long as nobody is lost, if that is known: of all jobs
  /// that are in flight, and of those to come.
  virtual std::optional<EachArrival> each_arrival() const { return std::nullopt; }

  /// Is told that the latest hand-over to a worker could only be done now, on the model as it is now: in wall
  /// time a worker must first bring to its end the job that was discarded.
  virtual void handed_over_late(int /*worker*/) {}

  /// Is told that a worker is lost: its jobs, in flight and queued, have been thrown away and count for
  /// nothing; it must not be handed any before regain(). Appends what follows for the others, so that no
  /// round waits for it: that may be a step along what has come, with everything that goes with it, but
  /// nothing that uses a gradient. As long as somebody works, somebody has a job afterwards. It is not called
  /// for a worker that is lost already.
  virtual void lose(int /*worker*/, Actions&) {}

  /// Is told that a lost worker is back, with no job. Appends its hand-over, or several; none where others
  /// work and its turn comes later (at the end of a round that has its gradient already; when it is drawn).
  virtual void regain(int worker, Actions& actions) { actions.emplace_back(HandOver{worker}); }

  /// Visits all that the next decisions depend on besides the options, the workers that are lost among it. It
  /// is restored after start(), whose actions are then not carried out. Throws std::invalid_argument for what
  /// no sequence of calls leads to and a run could fail or hang on.
  virtual void visit_state(StateArchive&) {}
};

/// Says what becomes of the row of a worker that is lost, where rows last: it stays in the mean as it is, or
/// the mean is that of the others.
enum class LostRows { keep, drop };

/// Holds what a method can be told besides the number of workers. An option not given takes the method's
/// default.
struct MethodOptions {
  int workers = 0;                          ///< n ≥ 1
  std::optional<int> gather = {};           ///< `--gather`, ≥ 1 (malenia: S ≥ 0)
  std::optional<int> delay_threshold = {};  ///< `--delay-threshold`, ≥ 1 (aced: ≥ 0)
  std::optional<double> smoothness = {};    ///< `--smoothness`, L > 0
  std::optional<double> availability = {};  ///< `--availability`, p in (0, 1]
  std::optional<LostRows> lost_rows = {};   ///< `--lost-rows`, by default keep
  double lr = 0;                            ///< γ, for rules that bound the step itself
  std::uint64_t seed = 0;                   ///< of the draws a method makes
  std::vector<double> compute_times = {};   ///< one a worker where they are fixed and known, else empty
};

/// Lists what some methods have and others have not. Options that go with it are refused for the others.
enum class Feature {
  gather,
  delay_threshold,
  smoothness,
  availability,
  lost_rows,
  local_steps,
  table,
  all_reduce,
  each_arrival  ///< Method::each_arrival() is known sooner or later, or may be
};

/// Begins the names of methods and objectives that a caller brings of its own.
inline constexpr std::string_view own_prefix = "own:";

/// Tells whether the method of that name is one that a caller brings. It has the features table and
/// local_steps.
inline bool is_own_method(std::string_view name) { return name.starts_with(own_prefix); }

/// Tells whether a method (a known name, or a caller's own) has a feature.
bool has_feature(std::string_view method, Feature feature);

/// Throws std::invalid_argument, naming the methods that have it, if the method (a known name) has not the
/// feature that `flag` is for.
void require_feature(std::string_view method, Feature feature, std::string_view flag);

/// Makes the method called `name` on the command line. Throws std::invalid_argument for an unknown name
/// (naming the nearest known one) and for options the method has no use for or that are out of range. Takes
/// no memory that grows with n before start(), so that options can be checked while n is not known yet.
std::unique_ptr<Method> make_method(std::string_view name, const MethodOptions& options);

/// Returns the names make_method knows, in alphabetical order.
std::vector<std::string> method_names();

/// Appends a hand-over to every worker.
void hand_over_to_all(int workers, Actions& actions);

/// Returns R of `aced`: the age, in updates, up to which a row counts; by default 10 n. Throws
/// std::invalid_argument.
std::uint64_t most_row_age_in_aced(const MethodOptions& options);

// One constructor a method; each file cites what it implements.
std::unique_ptr<Method> make_aced(const MethodOptions& options);
std::unique_ptr<Method> make_asgd(const MethodOptions& options);
std::unique_ptr<Method> make_asgd_delay_adaptive(const MethodOptions& options);
std::unique_ptr<Method> make_asgd_rescaled(const MethodOptions& options);
std::unique_ptr<Method> make_asgd_shuffled(const MethodOptions& options);
std::unique_ptr<Method> make_asgd_uniform(const MethodOptions& options);
std::unique_ptr<Method> make_ca2fl(const MethodOptions& options);
std::unique_ptr<Method> make_dude(const MethodOptions& options);
std::unique_ptr<Method> make_fedbuff(const MethodOptions& options);
std::unique_ptr<Method> make_ia2sgd(const MethodOptions& options);
std::unique_ptr<Method> make_malenia(const MethodOptions& options);
std::unique_ptr<Method> make_mifa(const MethodOptions& options);
std::unique_ptr<Method> make_msync(const MethodOptions& options);
std::unique_ptr<Method> make_rennala(const MethodOptions& options);
std::unique_ptr<Method> make_ringleader(const MethodOptions& options);
std::unique_ptr<Method> make_ringmaster(const MethodOptions& options);
std::unique_ptr<Method> make_sync(const MethodOptions& options);

}  // namespace tardigrad
