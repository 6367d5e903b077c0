// Several arrivals that a server is given at once have the bits of one by one.

#include "runtime/server/update_pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "tests/runtime/device/backends.h"
#include "tests/runtime/server/any_actions.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

struct ArrivalGiven {
  Actions actions;
  std::vector<float> gradient;
  std::vector<bool> left_out;
};

/// A server with a gradient and replicas for each of many arrivals.
class PassRig {
 public:
  PassRig(Stream stream, std::size_t dimension, const ServerMemory& memory, const ServerOptions& options)
      : stream_(std::move(stream)),
        dimension_(dimension),
        server_(stream_, dimension, AnyActions::workers, memory, options,
                stream_.ref().immediate() ? ParallelFor(parts_backwards) : ParallelFor()) {
    server_.set_model(std::vector<float>(dimension));
  }

  void apply(const std::vector<ArrivalGiven>& arrivals, bool at_once) {
    std::vector<ArrivedGradient> gradients;
    std::vector<std::vector<Replica*>> replicas;
    const std::size_t first = memory_.size();
    for (const ArrivalGiven& one : arrivals) {
      Buffer<float>& memory = buffers_.emplace_back(stream_, dimension_);
      memory_.push_back(memory.ref().data());
      stream_.ref().copy(memory.ref(), host_view(one.gradient.data(), dimension_));
      replicas.push_back(places(one));
    }
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      float*& memory = memory_[first + i];
      float** const exchangeable = stream_.ref().immediate() ? &memory : nullptr;
      gradients.push_back({{memory, dimension_, stream_.device()}, nullptr, exchangeable});
    }
    std::vector<ArrivalActions> all;
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      all.push_back({arrivals[i].actions, 0.3, replicas[i], &gradients[i]});
    }
    if (at_once) {
      server_.apply_all(all);
    } else {
      server_.ParameterServer::apply_all(all);
    }
    stream_.ref().synchronize();
  }

  /// The model, ū, the rows that count, and every replica so far.
  std::vector<std::vector<float>> vectors() {
    std::vector<std::vector<float>> all(1, std::vector<float>(dimension_));
    server_.read_model(all.front());
    const auto keep = [&](std::span<const float> values) { all.emplace_back(values.begin(), values.end()); };
    server_.read_mean_and_rows(keep, keep);
    for (const auto& replica : replicas_) {
      std::vector<float>& values = all.emplace_back(dimension_);
      stream_.ref().wait(replica->written);
      stream_.ref().copy(host_view(values.data(), dimension_), replica->model);
      stream_.ref().synchronize();
    }
    return all;
  }

  std::optional<double> largest_drift() { return server_.largest_drift(); }

 private:
  std::vector<Replica*> places(const ArrivalGiven& arrival) {
    std::vector<Replica*> places;
    for (const Action& action : arrival.actions) {
      if (!std::holds_alternative<HandOver>(action)) continue;
      if (places.size() < arrival.left_out.size() && arrival.left_out[places.size()]) {
        places.push_back(nullptr);
        continue;
      }
      Buffer<float>& memory = buffers_.emplace_back(stream_, dimension_);
      const std::size_t part = replicas_.size() % 5 == 0 ? 20 : 0;
      replicas_.push_back(std::make_unique<Replica>(memory.ref(), stream_.device(), part));
      places.push_back(replicas_.back().get());
    }
    return places;
  }

  Stream stream_;
  std::size_t dimension_;
  std::vector<Buffer<float>> buffers_;
  std::vector<float*> memory_;  // where gradients are; an exchange changes it
  std::vector<std::unique_ptr<Replica>> replicas_;
  Server server_;
};

struct PassCase {
  ServerMemory memory;
  ServerOptions options;
};

const ServerMemory two_tables{.tables = 2, .mean = true};
const PassCase pass_cases[] = {
    {two_tables, {}},
    {two_tables, {.table_type = TableType::bf16}},
    {two_tables, {.resum_every = 3}},
    {two_tables, {.momentum = 0.9, .weight_decay = 0.01, .clip_norm = 3}},
    {two_tables, {.optimizer = Optimizer::adamw, .resum_every = 2}},
    {{.tables = 2, .mean = true, .corrected = true, .kept_rows = AnyActions::workers}, {}}};

void compare_passes(const std::function<Stream()>& make_stream, std::size_t dimension, int calls) {
  for (std::size_t number = 0; number < std::size(pass_cases); ++number) {
    SCOPED_TRACE(::testing::Message() << "case " << number);
    const auto& [memory, options] = pass_cases[number];
    AnyActions any(static_cast<unsigned>(number), true, memory.corrected);
    PassRig apart(make_stream(), dimension, memory, options);
    PassRig together(make_stream(), dimension, memory, options);
    std::mt19937 random(static_cast<unsigned>(number));
    for (int call = 0; call < calls; ++call) {
      std::vector<ArrivalGiven> arrivals;
      for (std::size_t count = random() % 20; arrivals.size() < count;) {
        const Vector gradient = any.any_gradient(dimension);
        arrivals.push_back({any.next(), {gradient.begin(), gradient.end()}, any.left_out()});
      }
      apart.apply(arrivals, false);
      together.apply(arrivals, true);
    }
    EXPECT_TRUE(together.vectors() == apart.vectors());
    EXPECT_EQ(together.largest_drift(), apart.largest_drift());
  }
}

class ArrivalsAtOnce : public BackendTest {};

TEST_P(ArrivalsAtOnce, HaveTheBitsOfOneByOne) {
  compare_passes([] { return Stream(device(), "server"); }, 70, 4);
}

INSTANTIATE_TEST_SUITE_P(Backends, ArrivalsAtOnce, every_backend(), backend_name);

// Rows are exchanged, and long vectors are shared out among threads.
TEST(ArrivalsAtOnceInTheCall, HaveTheBitsOfOneByOne) {
  const auto immediate = [] { return Stream::immediate({}, "server"); };
  compare_passes(immediate, 70, 6);
  compare_passes(immediate, 40'000, 2);
}

// Whether that shows while they are gathered, or in the kernel.
TEST(ArrivalsAtOnceInTheCall, AreForgottenWhereOneIsRefused) {
  constexpr std::size_t dimension = 40'000;
  const Stream stream = Stream::immediate({}, "server");
  Server server(stream, dimension, 1, {.tables = 0, .mean = false}, {}, parts_backwards);
  server.set_model(std::vector<float>(dimension));
  std::vector<float> ones(dimension, 1.0F);
  const ArrivedGradient gradient{host_view(ones.data(), dimension)};
  const Actions step{Step{}};
  const Actions fold{FoldRow{0}};
  const ArrivalActions good{step, 1, {}, &gradient};
  const ArrivalActions without_table{fold, 1, {}, &gradient};
  const ArrivalActions without_gradient{step, 1, {}, nullptr};
  EXPECT_THROW(server.apply_all(std::vector{good, without_table}), std::logic_error);
  EXPECT_THROW(server.apply_all(std::vector{good, without_gradient}), DeviceError);
  server.apply_all(std::vector{good, good});
  std::vector<float> model(dimension);
  server.read_model(model);
  EXPECT_THAT(model, ::testing::Each(-2));
}

}  // namespace
}  // namespace tardigrad
