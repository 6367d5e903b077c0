#include "tools/options/run_option_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "data/data_source.h"
#include "data/dataset.h"
#include "models/networks/built_in_networks.h"
#include "runtime/base/nearest_name.h"
#include "runtime/base/parse_number.h"
#include "runtime/execution/execution.h"
#include "runtime/server/server.h"

namespace tardigrad {
namespace {

std::string joined(const data::BatchSizes& sizes) { return fmt::format("{}", fmt::join(sizes.sizes(), ",")); }

OptionType<data::BatchSizes> batch_sizes() {
  return {"N[,N...]",
          [](const std::string& flag, const std::string& text) {
            constexpr int most = 65536;
            std::vector<int> sizes;
            const std::string given = in_plain_spelling(text);
            for (const std::string_view part : split(given, ',')) {
              const auto size = parse_number<int>(number_in(std::string(part)));
              if (!size || *size < 1 || *size > most) {
                refuse_value(flag, text, fmt::format("a whole number from 1 to {}, or a list of such", most));
              }
              sizes.push_back(*size);
            }
            return data::BatchSizes(std::move(sizes));
          },
          joined};
}

}  // namespace

OptionType<std::string> words_or_file(const std::string& values, const std::string& prefix) {
  return {values, [prefix](const std::string&, const std::string& given) {
            std::string plain = in_plain_spelling(given);
            if (!plain.starts_with(prefix)) return plain;
            return prefix + given.substr(given.find(':') + 1);
          }};
}

OptionType<std::string> model_name() {
  std::vector<std::string> known = models::architecture_names();
  known.insert(known.end(), {"FILE.toml", "mlp:WIDTH,...", "cnn:CHANNELS,...:WIDTH,...",
                             "quadratic:FILE.json", "quadratic:tridiagonal:D"});
  OptionType<std::string> type =
      name_of("NAME", known, "models/networks/README.md", {"quadratic", "mlp", "cnn"});
  const auto parse = type.parse;
  type.parse = [parse](const std::string& flag, const std::string& given) {
    return models::is_network_file(given) || given.starts_with(own_prefix) ? given : parse(flag, given);
  };
  return type;
}

OptionType<std::string> dataset_name() {
  const auto names = data::dataset_names();
  std::vector<std::string> known(names.begin(), names.end());
  std::vector<std::string> kinds;
  for (const data::SourceKind& kind : data::source_kinds()) {
    kinds.emplace_back(kind.name);
    known.push_back(fmt::format("{}:{}", kind.name, kind.where));
  }
  return name_of("NAME", known, "data/README.md", kinds);
}

OptionType<std::string> method_name() {
  OptionType<std::string> type = name_of("NAME", method_names(), "runtime/methods/README.md");
  const auto parse = type.parse;
  type.parse = [parse](const std::string& flag, const std::string& given) {
    return is_own_method(given) ? given : parse(flag, given);
  };
  return type;
}

OptionRow batch_size_row(OptionTraits traits) {
  OptionRow row = make_row(std::move(traits), &TrainOptions::batch_size, batch_sizes());
  row.value = [](const TrainOptions& options) -> nlohmann::ordered_json {
    const std::vector<int>& sizes = options.batch_size.sizes();
    if (sizes.size() == 1) return sizes.front();
    return joined(options.batch_size);
  };
  return row;
}

OptionType<RanksOver> ranks_over() { return one_of<RanksOver>({{"mpi", RanksOver::mpi}}); }

OptionType<SyncOver> sync_over() {
  return one_of<SyncOver>({{"server", SyncOver::server}, {"nccl", SyncOver::nccl}, {"mpi", SyncOver::mpi}});
}

OptionType<std::optional<GradientRoute>> gradient_route() {
  return one_of<std::optional<GradientRoute>>(
      {{"auto", std::nullopt}, {"peer", GradientRoute::peer}, {"copy", GradientRoute::copy}});
}

OptionType<models::Precision> precision() {
  using models::Precision;
  return one_of<Precision>({{"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}});
}

OptionType<bool> on_or_off() { return one_of<bool>({{"on", true}, {"off", false}}); }

OptionType<LostRows> lost_rows() {
  return one_of<LostRows>({{"keep", LostRows::keep}, {"drop", LostRows::drop}});
}

OptionType<TableType> table_type() {
  return one_of<TableType>({{"f32", TableType::f32}, {"bf16", TableType::bf16}});
}

OptionType<std::optional<Completions>> completions() {
  return one_of<std::optional<Completions>>(
      {{"auto", std::nullopt}, {"polling", Completions::polling}, {"callback", Completions::callback}});
}

OptionType<bool> host_or_device() { return one_of<bool>({{"host", false}, {"device", true}}); }

OptionType<ClockKind> clock_kind() {
  return one_of<ClockKind>({{"wall", ClockKind::wall}, {"virtual", ClockKind::virtual_time}});
}

OptionType<Optimizer> optimizer() {
  return one_of<Optimizer>({{"sgd", Optimizer::sgd}, {"adamw", Optimizer::adamw}});
}

OptionType<double> number_from_0() {
  return number("a number of at least 0", [](double value) { return value >= 0; });
}

OptionType<double> share_below_1() {
  return number("a share, at least 0 and below 1", [](double value) { return value >= 0 && value < 1; });
}

OptionType<data::ImageSize> image_size() {
  return {"N|HxW",
          [](const std::string& flag, const std::string& text) {
            constexpr int most = 65535;
            const std::vector<std::string_view> sides = split(text, 'x');
            const auto height = parse_number<int>(sides.front());
            const auto width = parse_number<int>(sides.back());
            const auto is_side = [](const std::optional<int>& side) {
              return side && *side >= 1 && *side <= most;
            };
            if (sides.size() <= 2 && is_side(height) && is_side(width)) {
              return data::ImageSize{*height, *width};
            }
            refuse_value(flag, text,
                         fmt::format("a size such as 32 or 48x64, of 1 to {} pixels on a side", most));
          },
          [](const data::ImageSize& size) { return fmt::format("{}x{}", size.height, size.width); }};
}

OptionType<data::Colour> colour() {
  using data::Colour;
  return one_of<Colour>({{"auto", Colour::automatic}, {"grey", Colour::grey}, {"rgb", Colour::rgb}});
}

OptionType<double> any_number() {
  return number("a number", [](double) { return true; });
}

}  // namespace tardigrad
