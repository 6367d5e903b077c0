#include "data/data_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "data/formats/class_names.h"
#include "data/formats/csv.h"
#include "data/formats/idx.h"
#include "data/formats/libsvm.h"
#include "data/formats/npy.h"
#include "data/formats/number_text.h"
#include "data/normalise.h"
#include "data/test_split.h"

namespace tardigrad::data {
namespace {

using Path = std::filesystem::path;

/// What a reader finds.
struct Found {
  NamedExamples train;
  std::optional<NamedExamples> test = {};
};

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

std::vector<std::string> words_of(const std::string& where) {
  const std::vector<std::string_view> parts = split(where, ',');
  return {parts.begin(), parts.end()};
}

[[noreturn]] void refuse_words(const DataSource& source, std::string_view kind) {
  const auto found = std::ranges::find(source_kinds(), kind, &SourceKind::name);
  refuse(fmt::format("data set '{}': expected {}:{}", source.dataset, kind, found->where));
}

// ---- idx ----

/// The only file in the folder whose name begins so, has one of `sets` in it and all of `parts`.
Path find_idx_file(const Path& folder, const std::string& prefix, const std::vector<std::string>& sets,
                   const std::vector<std::string>& parts) {
  std::vector<Path> found;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
    const std::string name = entry.path().filename().string();
    const auto has = [&](const std::string& part) { return name.find(part) != name.npos; };
    if (name.starts_with(prefix) && std::ranges::any_of(sets, has) && std::ranges::all_of(parts, has)) {
      found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  std::erase_if(found, [](Path path) {  // beside the same uncompressed
    std::error_code absent;
    return path.extension() == ".gz" && std::filesystem::exists(path.replace_extension(), absent);
  });
  const std::string wanted = fmt::format("{}*{}*{}*", prefix, sets.front(), fmt::join(parts, "*"));
  if (found.empty()) {
    refuse(fmt::format("{}: no file {}, expected the files of an IDX set", folder.string(), wanted));
  }
  if (found.size() > 1) {
    refuse(fmt::format("{}: {} and {} are both {}, expected one: idx:FOLDER/PREFIX says which",
                       folder.string(), found[0].filename().string(), found[1].filename().string(), wanted));
  }
  return found.front();
}

NamedExamples read_idx_set(const Path& folder, const std::string& prefix,
                           const std::vector<std::string>& sets, PixelAccess access) {
  NamedExamples examples;
  examples.images = read_idx_images(find_idx_file(folder, prefix, sets, {"images", "idx3-ubyte"}),
                                    find_idx_file(folder, prefix, sets, {"labels", "idx"}),
                                    static_cast<int>(most_classes), access);
  ClassNames classes;
  for (Label& label : examples.images.labels) label = classes.add(fmt::format("{}", label));
  examples.class_names = classes.sort(examples.images.labels);
  return examples;
}

Found read_idx_folder(const std::string& where, PixelAccess access) {
  std::error_code unreachable;
  Path folder = where;
  std::string prefix;
  if (!std::filesystem::is_directory(folder, unreachable)) {
    prefix = folder.filename().string();
    folder = folder.parent_path().empty() ? Path(".") : folder.parent_path();
  }
  if (std::filesystem::is_directory(folder / "raw", unreachable)) folder /= "raw";  // as torchvision has it
  if (!std::filesystem::is_directory(folder, unreachable)) {
    refuse(fmt::format("{}: no such folder, expected one with the files of an IDX set", folder.string()));
  }
  return {read_idx_set(folder, prefix, {"train"}, access),
          read_idx_set(folder, prefix, {"test", "t10k"}, access)};
}

// ---- the others ----

Found read_npy_source(const DataSource& source, const std::string& where) {
  const std::vector<std::string> files = words_of(where);
  if (files.size() != 2 && files.size() != 4) refuse_words(source, "npy");
  Found found{read_npy_examples(files[0], files[1], source.access)};
  if (files.size() == 4) found.test = read_npy_examples(files[2], files[3], source.access);
  return found;
}

Found read_libsvm_source(const DataSource& source, const std::string& where) {
  const std::vector<std::string> files = words_of(where);
  if (files.size() > 2) refuse_words(source, "libsvm");
  const SparseRows train = read_libsvm(files[0]);
  if (files.size() == 1) return {train.dense(train.features)};
  const SparseRows test = read_libsvm(files[1]);
  const std::size_t features = std::max(train.features, test.features);  // the last may be in one set alone
  return {train.dense(features), test.dense(features)};
}

Found read_csv_source(const DataSource& source, const std::string& where) {
  constexpr std::string_view label = "label=";
  constexpr std::string_view test = "test=";
  const std::vector<std::string> words = words_of(where);
  if (words.size() < 2 || words.size() > 3 || !words[1].starts_with(label) ||
      (words.size() == 3 && !words[2].starts_with(test))) {
    refuse_words(source, "csv");
  }
  const std::string column = words[1].substr(label.size());
  Found found{read_csv(words[0], column)};
  if (words.size() == 3) found.test = read_csv(words[2].substr(test.size()), column);
  return found;
}

Found read_rows_or_images(const DataSource& source, const std::string& kind, const std::string& where) {
  if (kind == "idx") return read_idx_folder(where, source.access);
  if (kind == "npy") return read_npy_source(source, where);
  if (kind == "libsvm") return read_libsvm_source(source, where);
  if (kind == "csv") return read_csv_source(source, where);
  refuse(fmt::format("unknown kind of data '{}' in '{}'", kind, source.dataset));
}

// ---- what is found, as a data set ----

template <typename Value>
std::vector<Value> take(std::span<const Value> values, std::size_t of_each,
                        const std::vector<std::size_t>& which) {
  std::vector<Value> taken;
  if (values.empty()) return taken;
  taken.reserve(which.size() * of_each);
  for (const std::size_t i : which) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(i * of_each);
    taken.insert(taken.end(), begin, begin + static_cast<std::ptrdiff_t>(of_each));
  }
  return taken;
}

Images take(const Images& images, const std::vector<std::size_t>& which) {
  return {.shape = images.shape,
          .pixels = take(images.bytes(), images.shape.size(), which),
          .values = take(std::span(images.values), images.shape.size(), which),
          .labels = take(std::span(images.labels), 1, which)};
}

/// A share of 0 tests on what is trained on.
void take_test_from_training(Dataset& dataset, double share) {
  if (share == 0) {
    dataset.test = dataset.train;
    return;
  }
  const TestSplit split = split_off_test(dataset.train.labels, dataset.class_names.size(), share);
  dataset.test = take(dataset.train, split.test);
  dataset.train = take(dataset.train, split.train);
}

/// The test set with the numbers that its classes have in the training set.
void take_test(Dataset& dataset, NamedExamples test, const std::string& name) {
  std::vector<Label> numbers;
  for (const std::string& class_name : test.class_names) {
    const auto known = std::ranges::find(dataset.class_names, class_name);
    if (known == dataset.class_names.end()) {
      refuse(fmt::format("{}: class {} of the test set is not in the training set, which has {}", name,
                         class_name, fmt::join(dataset.class_names, ", ")));
    }
    numbers.push_back(static_cast<Label>(known - dataset.class_names.begin()));
  }
  for (Label& label : test.images.labels) label = numbers[label];
  const ImageShape& wanted = dataset.train.shape;
  const ImageShape& shape = test.images.shape;
  if (shape != wanted || test.images.in_floats() != dataset.train.in_floats()) {
    refuse(fmt::format("{}: examples of the test set are {}×{}×{}{}, expected {}×{}×{}{} as in training",
                       name, shape.channels, shape.height, shape.width,
                       test.images.in_floats() ? "" : " bytes", wanted.channels, wanted.height, wanted.width,
                       dataset.train.in_floats() ? "" : " bytes"));
  }
  dataset.test = std::move(test.images);
}

/// Throws std::invalid_argument where there is nothing to tell apart.
void require_classes(const Dataset& dataset) {
  if (dataset.classes >= 2) return;
  refuse(fmt::format("{}: one class, {}; expected at least two", dataset.name, dataset.class_names.at(0)));
}

/// For data with a test set of their own.
void require_no_share(const DataSource& source) {
  if (!source.test_share) return;
  refuse(fmt::format("{}: a test share of {}, and the data have a test set of their own", source.dataset,
                     *source.test_share));
}

Dataset assemble(const DataSource& source, Found found) {
  Dataset dataset{.name = source.dataset,
                  .train = std::move(found.train.images),
                  .test = {},
                  .classes = static_cast<int>(found.train.class_names.size()),
                  .class_names = std::move(found.train.class_names),
                  .normalisation = {}};
  require_classes(dataset);
  constexpr double default_share = 0.1;
  if (found.test) {
    require_no_share(source);
    take_test(dataset, std::move(*found.test), source.dataset);
  } else {
    take_test_from_training(dataset, source.test_share.value_or(default_share));
  }
  return dataset;
}

Dataset load_folder(const DataSource& source, const std::string& where, const Reading& reading) {
  FolderOfImages folder = read_image_folder(where, source.test_share, source.images, reading);
  Dataset dataset{.name = source.dataset,
                  .train = std::move(folder.train),
                  .test = std::move(folder.test),
                  .classes = static_cast<int>(folder.class_names.size()),
                  .class_names = std::move(folder.class_names),
                  .owners = std::move(folder.owners),
                  .normalisation = {}};
  require_classes(dataset);
  return dataset;
}

Dataset load_known(const DataSource& source) {
  require_no_share(source);
  Dataset dataset = load_dataset(
      source.dataset, source.dir.empty() ? default_data_dir(source.dataset) : source.dir, source.access);
  if (!source.normalise.empty()) normalise(dataset, source.normalise);
  return dataset;
}

}  // namespace

const std::vector<SourceKind>& source_kinds() {
  static const std::vector<SourceKind> kinds = {{"folder", "PATH"},
                                                {"idx", "FOLDER[/PREFIX]"},
                                                {"npy", "X.npy,Y.npy[,XTEST.npy,YTEST.npy]"},
                                                {"libsvm", "FILE[,TESTFILE]"},
                                                {"csv", "FILE,label=COLUMN[,test=FILE]"}};
  return kinds;
}

Dataset load_data(const DataSource& source, const Reading& reading) {
  const std::size_t colon = source.dataset.find(':');
  if (colon == std::string::npos) return load_known(source);
  const std::string kind = source.dataset.substr(0, colon);
  const std::string where = source.dataset.substr(colon + 1);
  Dataset dataset = kind == "folder" ? load_folder(source, where, reading)
                                     : assemble(source, read_rows_or_images(source, kind, where));
  const char* const usual = kind == "libsvm" ? "none" : "measured";
  normalise(dataset, source.normalise.empty() ? usual : source.normalise);
  return dataset;
}

}  // namespace tardigrad::data
