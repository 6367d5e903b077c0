#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/images/image_folder.h"

namespace tardigrad::data {

/// Says what to train on, and how to read it.
struct DataSource {
  /// Is a known name, or KIND:WHERE as source_kinds() has them.
  std::string dataset;
  /// Is where the files of a known set lie; nothing: default_data_dir().
  std::filesystem::path dir = {};
  /// Is the share of the examples that becomes the test set, of every class; 0 tests on the training set.
  /// Nothing: a tenth, where the data have no test set of their own.
  std::optional<double> test_share = {};
  /// Says how data are normalised, as normalise() reads it. Empty: as usual for a known set, not for
  /// LIBSVM's, else measured.
  std::string normalise = {};
  /// Says how IDX and NumPy's files are read; others, and those that are not as it says, are read whole.
  PixelAccess access = PixelAccess::read;
  /// Says how a folder of images is read.
  ImageOptions images = {};
};

/// Describes a kind of files that a user may bring.
struct SourceKind {
  std::string_view name;
  std::string_view where;  ///< what follows the colon, for manuals
};

/// Returns the kinds:
///   folder:PATH                        images, a subfolder a class (images/image_folder.h)
///   idx:FOLDER[/PREFIX]                files of images and labels as MNIST, EMNIST, KMNIST and QMNIST have
///   npy:X.npy,Y.npy[,XTEST.npy,YTEST.npy]   arrays of NumPy
///   libsvm:FILE[,TESTFILE]             rows of LIBSVM
///   csv:FILE,label=COLUMN[,test=FILE]  rows of numbers
const std::vector<SourceKind>& source_kinds();

/// Reads the data. What is split off as a test set is the same in every run, whatever its seed. Throws
/// std::invalid_argument, in one line that names the file and what was expected: for what is not there, is
/// malformed, has fewer than two classes, or a test set of other classes or another shape.
Dataset load_data(const DataSource& source, const Reading& reading = {});

}  // namespace tardigrad::data
