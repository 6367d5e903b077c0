#pragma once

#include <filesystem>
#include <string_view>

#include "runtime/base/output_file.h"

namespace tardigrad {

/// Writes a file in TensorFlow's TFRecord framing: of each record its length, that length's checksum, the
/// bytes and their checksum; numbers in little endian, checksums masked CRC-32C.
class EventFile {
 public:
  /// Makes a new file in the folder, of the name by which TensorBoard finds it. Throws std::invalid_argument
  /// naming `--tensorboard` and the folder if there can be none.
  explicit EventFile(const std::filesystem::path& folder);

  /// Writes a record to the file at once. Trouble with that never throws (OutputFile).
  void write(std::string_view record);

 private:
  OutputFile file_;
};

}  // namespace tardigrad
