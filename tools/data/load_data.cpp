#include "tools/data/load_data.h"

#include <chrono>
#include <mutex>

#include "data/data_source.h"
#include "runtime/base/say.h"
#include "runtime/base/start_thread.h"
#include "runtime/device/device.h"

namespace tardigrad {
namespace {

/// Says how many images are decoded, every few seconds.
class ProgressLine {
 public:
  void tell(std::size_t done, std::size_t count) {
    using std::chrono::steady_clock;
    constexpr std::chrono::seconds period(2);
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || steady_clock::now() < next_) return;
    next_ = steady_clock::now() + period;
    say_line("{} of {} images are decoded", done, count);
  }

 private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
};

}  // namespace

data::Dataset load_dataset(const TrainOptions& options, data::PixelAccess access) {
  ProgressLine line;
  data::Reading reading;
  reading.share_out = [](std::size_t count, const std::function<void(std::size_t)>& work) {
    share_out("reading data", count, static_cast<std::size_t>(default_cpu_devices()),
              [&work](std::size_t, std::size_t i) { work(i); });
  };
  reading.progress = [&line](std::size_t done, std::size_t count) { line.tell(done, count); };
  reading.say = [&options](const std::string& text) { say_line("{}: {}", options.dataset, text); };
  return data::load_data({.dataset = options.dataset,
                          .dir = options.data_dir,
                          .test_share = options.test_share,
                          .normalise = options.normalise,
                          .access = access,
                          .images = {.size = options.image_size,
                                     .colour = options.colour,
                                     .skip_broken = options.skip_broken,
                                     .cache = data::cache_folder("TARDIGRAD_DATA", "decoded").value_or(""),
                                     .check_pixels = access == data::PixelAccess::read}},
                         reading);
}

}  // namespace tardigrad
