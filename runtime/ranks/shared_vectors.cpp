#include "runtime/ranks/shared_vectors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <utility>

#include "runtime/ranks/blocking.h"
#include "runtime/ranks/messages.h"

namespace tardigrad {
namespace {

constexpr std::size_t header_bytes = 4096;  // a page

/// Says where the memory is. The file's first bytes are those of `secret`, so that another process of that
/// number, as containers have them, is not taken for rank 0.
struct Offer {
  std::int32_t process = 0;
  std::int32_t file = -1;  ///< negative: there is no memory
  std::uint64_t count = 0;
  std::uint64_t secret = 0;
};

class File {
 public:
  explicit File(int number) : number_(number) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

std::size_t bytes_of(std::size_t dimension, std::size_t count) {
  return header_bytes + count * vector_stride(dimension) * sizeof(float);
}

std::uint64_t secret_of(const std::byte* memory) {
  std::uint64_t secret = 0;
  std::memcpy(&secret, memory, sizeof(secret));
  return secret;
}

/// A file of that size that has no name; -1 where the system has none.
int make_file(std::size_t bytes) {
  const int file = memfd_create("tardigrad vectors", MFD_CLOEXEC);
  if (file >= 0 && ftruncate(file, static_cast<off_t>(bytes)) != 0) {
    close(file);
    return -1;
  }
  return file;
}

/// Opens a file that another process has open; -1 where it cannot be, or is of another size.
int open_file_of(const Offer& offer, std::size_t bytes) {
  const std::string path = fmt::format("/proc/{}/fd/{}", offer.process, offer.file);
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return -1;
  struct stat status {};
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && std::cmp_equal(status.st_size, bytes)) {
    return file;
  }
  close(file);
  return -1;
}

}  // namespace

std::optional<SharedVectors> SharedVectors::map(int file, std::size_t dimension, std::size_t count) {
  if (file < 0) return std::nullopt;
  const std::size_t bytes = bytes_of(dimension, count);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (memory == MAP_FAILED) return std::nullopt;
  madvise(memory, bytes, MADV_HUGEPAGE);
  return SharedVectors(Mapped(static_cast<std::byte*>(memory), {bytes}), dimension, count);
}

std::optional<SharedVectors> SharedVectors::offer(Transport& transport, const std::vector<int>& ranks,
                                                  std::size_t dimension, std::size_t count) {
  const File file(make_file(bytes_of(dimension, count)));
  std::optional<SharedVectors> vectors = map(file.number(), dimension, count);
  Offer offer{.process = getpid(), .file = vectors ? file.number() : -1, .count = count};
  if (vectors) {
    std::random_device random;
    offer.secret = std::uint64_t{random()} << 32 | random();
    std::memcpy(vectors->memory_.get(), &offer.secret, sizeof(offer.secret));
    vectors->on_rank_.resize(static_cast<std::size_t>(transport.size()));
  }
  bool any = false;
  const RankOrder order{.kind = RankOrder::Kind::share};
  for (const int rank : ranks) blocking_send(transport, rank, tag_order, &order, sizeof(order));
  for (const int rank : ranks) blocking_send(transport, rank, tag_memory, &offer, sizeof(offer));
  for (const int rank : ranks) {
    std::uint32_t mapped = 0;
    blocking_receive(transport, rank, tag_memory, &mapped, sizeof(mapped));
    if (mapped == 0) continue;
    vectors->on_rank_[static_cast<std::size_t>(rank)] = any = true;
  }
  if (!any) vectors.reset();
  return vectors;
}

std::optional<SharedVectors> SharedVectors::accept(Transport& transport, std::size_t dimension) {
  Offer offer;
  blocking_receive(transport, 0, tag_memory, &offer, sizeof(offer));
  std::optional<SharedVectors> vectors;
  if (offer.file >= 0) {
    const File file(open_file_of(offer, bytes_of(dimension, offer.count)));
    vectors = map(file.number(), dimension, offer.count);
    if (vectors && secret_of(vectors->memory_.get()) != offer.secret) vectors.reset();
  }
  const std::uint32_t mapped = vectors ? 1 : 0;
  blocking_send(transport, 0, tag_memory, &mapped, sizeof(mapped));
  return vectors;
}

void SharedVectors::Unmap::operator()(std::byte* memory) const noexcept { munmap(memory, bytes); }

float* SharedVectors::values() const { return reinterpret_cast<float*>(memory_.get() + header_bytes); }

std::optional<std::uint32_t> SharedVectors::index_of(const float* vector) const {
  // Pointers into other memory have no order with these.
  const auto offset = reinterpret_cast<std::uintptr_t>(vector) - reinterpret_cast<std::uintptr_t>(values());
  const std::uintptr_t index = offset / (vector_stride(dimension_) * sizeof(float));
  return index < count_ ? std::optional(static_cast<std::uint32_t>(index)) : std::nullopt;
}

}  // namespace tardigrad
