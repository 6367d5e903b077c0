#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "runtime/base/trouble.h"

namespace tardigrad {

/// Writes a file while a run goes on, record by record. A full disk or a closed pipe never throws: what could
/// not be written is said once (Trouble), kept up to a limit, and tried again. Beyond that whole records are
/// left out. What follows in a file is always a whole record, behind a whole record: a half-written one is
/// cut off again, or completed by the next try where nothing can be cut, as of streams (output_path.h).
class OutputFile {
 public:
  enum class Begin {
    empty,    ///< what was there goes
    new_one,  ///< refused where there is a file
    behind    ///< what is there, which has to be
  };
  struct Limits {
    std::size_t waiting_bytes = std::size_t{16} << 20;  ///< kept, that cannot be written
    RetryBackoff patience = {};
  };

  /// Opens the file. Throws std::invalid_argument naming flag and path if it cannot.
  OutputFile(const char* flag, const std::filesystem::path& path, Begin begin, Limits limits);
  OutputFile(const char* flag, const std::filesystem::path& path, Begin begin = Begin::empty)
      : OutputFile(flag, path, begin, Limits()) {}
  ~OutputFile();  ///< tries once more to write what waits
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Takes a record, to write it with others or at the next flush, and returns whether it did: else the
  /// record is left out. Records that matter may fill all the room for what waits, the others half of it.
  bool write(std::string_view record, bool matters = false) { return write({record}, matters); }

  /// Takes a record in parts, likewise.
  bool write(std::initializer_list<std::string_view> parts, bool matters);

  /// Writes what waits, unless it is too early to try again. Returns whether nothing waits any more.
  bool flush();

  /// Flushes, and makes the system begin to bring the file to the disk, without waiting for that.
  void begin_sync();

  /// Says something about the file on stderr.
  void tell(const std::string& text) const { trouble_.tell(text); }

 private:
  bool write_out();
  int write_front();

  int descriptor_;
  bool can_be_cut_;
  std::size_t most_waiting_;
  Trouble trouble_;
  // Blocks of whole records, at least one; of the first the rest, where nothing can be cut.
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t left_out_ = 0;  // records, since it was last written
};

}  // namespace tardigrad
