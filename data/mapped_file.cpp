#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tardigrad::data {
namespace {

[[noreturn]] void fail(int error, const std::filesystem::path& path) {
  throw std::system_error(error, std::generic_category(), path.string());
}

/// Is an open file until the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

int opened(const std::filesystem::path& path, int flags) {
  constexpr mode_t mode = 0644;
  const int number = open(path.c_str(), flags | O_CLOEXEC, mode);
  if (number < 0) fail(errno, path);
  return number;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Descriptor file(opened(path, O_RDONLY));
  struct stat status {};
  if (fstat(file.number(), &status) != 0) fail(errno, path);
  size_ = static_cast<std::size_t>(status.st_size);
  map(file.number(), PROT_READ);
}

MappedFile::MappedFile(const std::filesystem::path& path, std::size_t bytes) : size_(bytes) {
  const Descriptor file(opened(path, O_RDWR | O_CREAT | O_TRUNC));
  const int error = posix_fallocate(file.number(), 0, static_cast<off_t>(bytes));
  if (error != 0) {
    unlink(path.c_str());
    fail(error, path);
  }
  map(file.number(), PROT_READ | PROT_WRITE);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

void MappedFile::map(int file, int protection) {
  if (size_ == 0) return;
  void* const memory = mmap(nullptr, size_, protection, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  data_ = static_cast<std::uint8_t*>(memory);
}

std::shared_ptr<const MappedFile> map_plain_file(const std::filesystem::path& path,
                                                 std::uint64_t header_bytes, std::uint64_t payload_bytes) {
  std::error_code unreadable;
  if (!std::filesystem::is_regular_file(path, unreadable)) return nullptr;
  try {
    auto file = std::make_shared<const MappedFile>(path);
    const auto bytes = file->bytes();
    const bool is_gzipped = bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
    const bool fits = bytes.size() >= header_bytes && bytes.size() - header_bytes == payload_bytes;
    return fits && !is_gzipped ? file : nullptr;
  } catch (const std::system_error&) {
    return nullptr;
  }
}

}  // namespace tardigrad::data
