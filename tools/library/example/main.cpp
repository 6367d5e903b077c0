#include <tardigrad/tardigrad.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

using namespace tardigrad;

/// f_i(x) = ½ ‖x − c_i‖²: worker i knows its own centre, c_i = (i, …, i).
class Centres final : public Objective {
 public:
  Centres(int workers, int dimension) : workers_(workers) { layout_.add("x", {dimension}); }

  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend backend) const override { return backend == Backend::cpu; }
  void initialise(std::span<float> model, std::uint64_t) const override { std::ranges::fill(model, 0.0F); }
  std::size_t examples_per_job(int) const override { return 0; }
  std::size_t examples() const override { return 0; }

  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream, std::span<const int>) override {
    return std::make_unique<Engine>(stream);
  }

  Evaluation evaluate(std::span<const float> x, const BreakOff&) override {
    double sum = 0;
    for (int worker = 0; worker < workers_; ++worker) {
      for (const float value : x) sum += (value - worker) * (value - worker) / 2.0 / workers_;
    }
    return {.loss = sum};
  }

 private:
  /// Computes on the thread of a stream.
  class Engine final : public GradientEngine {
   public:
    explicit Engine(const StreamRef& stream) : stream_(stream) {}
    void enqueue_minibatch(int, std::uint64_t) override {}
    void enqueue_gradient(int worker, BufferRef<const float> x, BufferRef<float> gradient,
                          float* loss) override {
      stream_.host("gradient", [worker, x, gradient, loss] {
        *loss = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          gradient.data()[i] = x.data()[i] - static_cast<float>(worker);
          *loss += gradient.data()[i] * gradient.data()[i] / 2;
        }
      });
    }

   private:
    StreamRef stream_;
  };

  int workers_;
  ParameterLayout layout_;
};

/// Steps along the mean of every worker's last gradient, once all have given one.
class LastGradients final : public Method {
 public:
  explicit LastGradients(const MethodOptions& options) : workers_(options.workers) {}

  ServerMemory memory() const override { return {.tables = 1, .mean = true}; }

  void start(Actions& actions) override {
    filled_.assign(static_cast<std::size_t>(workers_), false);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    filled_[static_cast<std::size_t>(arrival.worker)] = true;
    actions.emplace_back(FoldRow{arrival.worker});
    if (std::ranges::find(filled_, false) == filled_.end()) actions.emplace_back(Step{});
    actions.emplace_back(HandOver{arrival.worker});
  }

 private:
  int workers_;
  std::vector<bool> filled_;
};

int main() {
  int unused;  // the project's own warnings are not passed on
  constexpr int workers = 5;
  const Trained trained =
      train({.options = {"--lr", "0.1", "--updates", "1000", "--clock", "virtual", "--compute-time",
                         "linear:1:2", "--device", "cpu:1"},
             .objective = std::make_unique<Centres>(workers, 3),
             .name = "centres",
             .method = [](const MethodOptions& options) { return std::make_unique<LastGradients>(options); },
             .method_name = "last-gradients"});
  std::printf("tardigrad %s: %llu updates, x = %.4f %.4f %.4f\n", version().c_str(),
              static_cast<unsigned long long>(trained.summary.updates), trained.model[0], trained.model[1],
              trained.model[2]);
  try {
    train(
        {.options = {"--lr", "much", "--updates", "1"}, .objective = std::make_unique<Centres>(workers, 3)});
  } catch (const std::invalid_argument& refused) {
    std::printf("refused: %s\n", refused.what());
  }
}
