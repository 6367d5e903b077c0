// Checkpoints: the first byte chooses the method of a run, the second which file of its checkpoint the rest
// takes the place of. The run goes on from whatever is taken.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stop_token>

#include "models/tridiagonal.h"
#include "runtime/coordinator/coordinator.h"
#include "runtime/telemetry/guard_rails.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;
namespace fs = std::filesystem;

namespace {

constexpr int workers = 3;
constexpr std::uint64_t updates = 7;

/// Removed with the program.
class Folder {
 public:
  Folder() {
    std::string name = fs::temp_directory_path() / "tardigrad-fuzz-XXXXXX";
    fuzz::require(mkdtemp(name.data()) != nullptr, "a temporary folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A run in virtual time, of few arrivals.
class Run final : public RunObserver {
 public:
  explicit Run(const std::string& name)
      : method_(make_method(name, {.workers = workers, .lr = 0.01})),
        delays_(Delays::parse("1,2,3.5", workers, 0)) {
    options.lr = 0.01;
    options.clock = ClockKind::virtual_time;
    options.server.momentum = 0.5;
  }

  RunOptions options;

  void go(const Checkpoint* checkpoint) {
    Coordinator coordinator(
        objective_, *method_,
        make_execution(objective_, method_->memory(), delays_, speeds_, Devices({Device{}}), options),
        options, {this, &guard_rails_});
    std::vector<float> model(objective_.dimension());
    if (checkpoint) coordinator.resume(*checkpoint);
    coordinator.run(model, stop_.get_token());
  }

  void on_arrival(const JobRecord&) override {
    constexpr int most = 40;
    if (++arrivals_ == most) stop_.request_stop();
  }

 private:
  models::Tridiagonal objective_{models::parse_tridiagonal("tridiagonal:5"), workers, 0};
  std::unique_ptr<Method> method_;
  Delays delays_;
  EventScript speeds_;
  std::stop_source stop_;
  GuardRails guard_rails_{{.workers = workers, .table = true}, {}};
  int arrivals_ = 0;
};

/// A good checkpoint of a run of that method.
fs::path good_checkpoint(const Folder& folder, const std::string& method) {
  Run run(method);
  run.options.max_updates = updates;
  run.options.checkpoints.folder = folder.path() / method;
  run.options.checkpoints.run_json = "{}";
  run.go(nullptr);
  const auto checkpoints = CheckpointFolder::list(run.options.checkpoints.folder);
  fuzz::require(checkpoints.size() == 1, "a checkpoint");
  return checkpoints.front();
}

std::string contents_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::array<const char*, 4> files = {"state.json", "state.safetensors", "model.safetensors",
                                                "manifest.json"};
  static const Folder folder;
  static const std::vector<std::string> methods = method_names();
  static std::map<std::string, fs::path> checkpoints;
  if (size < 2) return 0;
  const std::string& method = methods[data[0] % methods.size()];
  const char* const name = files.at(data[1] % files.size());
  if (!checkpoints.contains(method)) checkpoints[method] = good_checkpoint(folder, method);
  const fs::path& path = checkpoints[method];
  const std::string good = contents_of(path / name);
  const std::string manifest = contents_of(path / "manifest.json");
  write(path / name, fuzz::as_text(data, size).substr(2));
  if (name != std::string_view("manifest.json")) write_manifest(path);
  fuzz::taken_or_refused([&] {
    try {
      const Checkpoint checkpoint = Checkpoint::read(path);
      Run run(method);
      run.go(&checkpoint);
    } catch (const std::invalid_argument&) {
      throw;
    } catch (
        const std::logic_error&) {  // states that fit by themselves and not together: no run would save them
    } catch (const NotFiniteError&) {
    } catch (const WorkersLostError&) {
    }
  });
  write(path / name, good);
  write(path / "manifest.json", manifest);
  return 0;
}
