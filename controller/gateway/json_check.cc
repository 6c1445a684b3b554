#include "controller/gateway/json_check.h"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace slipway::gateway {
namespace {

namespace json = boost::json;

// Keeps the keys of the objects that are open and nothing else.
struct Handler {
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_object_size = 10'000;
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = 64 << 10;

  using Code = json::error_code;
  using Text = json::string_view;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_array_begin(Code&) { return true; }
  bool on_array_end(std::size_t, Code&) { return true; }
  bool on_object_begin(Code&) {
    if (open == keys.size()) keys.emplace_back();
    ++open;
    return true;
  }
  bool on_object_end(std::size_t, Code&) {
    keys[--open].clear();
    return true;
  }
  bool on_string_part(Text, std::size_t, Code&) { return true; }
  bool on_string(Text, std::size_t, Code&) { return true; }
  bool on_key_part(Text part, std::size_t, Code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(Text part, std::size_t, Code& error) {
    key.append(part.data(), part.size());
    const auto [it, fresh] = keys[open - 1].insert(std::exchange(key, {}));
    if (!fresh) {
      twice = *it;
      error = json::error::syntax;
    }
    return fresh;
  }
  bool on_number_part(Text, Code&) { return true; }
  bool on_int64(std::int64_t, Text, Code&) { return true; }
  bool on_uint64(std::uint64_t, Text, Code&) { return true; }
  bool on_double(double, Text, Code&) { return true; }
  bool on_bool(bool, Code&) { return true; }
  bool on_null(Code&) { return true; }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }

  std::vector<absl::flat_hash_set<std::string>> keys;  // kept for the next object at its depth
  std::size_t open = 0;
  std::string key;
  std::string twice;
};

}  // namespace

absl::Status CheckJson(std::string_view text, const JsonLimits& limits) {
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().twice.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("JSON: the key '{}' appears twice in one object", parser.handler().twice));
  }
  if (!error && read < text.size()) error = json::error::extra_data;
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("JSON: {} at byte {}", error.message(), read));
}

}  // namespace slipway::gateway
