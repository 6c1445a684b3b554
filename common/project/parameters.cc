#include "common/project/parameters.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "common/project/paths.h"
#include "common/status/status.h"

namespace slipway::project {
namespace {

constexpr std::size_t kMaxPatternBytes = 256;
// Of a compiled expression; what it may cost to match grows with it.
constexpr int kMaxPatternMemory = 1 << 20;
constexpr std::size_t kShownBytes = 128;

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

RE2::Options PatternOptions() {
  RE2::Options options;
  options.set_max_mem(kMaxPatternMemory);
  options.set_log_errors(false);
  return options;
}

absl::Status Bad(std::string message) { return absl::InvalidArgumentError(std::move(message)); }

std::string Shown(const std::string& value) {
  if (value.size() <= kShownBytes) return fmt::format("'{}'", value);
  return fmt::format("a value of {} bytes", value.size());
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

absl::Status Invalid(std::string message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "PARAMETER_INVALID", std::move(message));
}

}  // namespace

std::string_view ParameterTypeName(ParameterType type) {
  switch (type) {
    case ParameterType::kChoice: return "choice";
    case ParameterType::kBool: return "bool";
    case ParameterType::kText: return "text";
    case ParameterType::kFile: return "file";
  }
  return "";
}

bool IsParameterName(std::string_view text) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 32 && is_lower(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_lower(c) || (c >= '0' && c <= '9') || c == '-'; });
}

bool IsParameterValue(std::string_view text) {
  return text.size() <= kMaxParameterValue && std::none_of(text.begin(), text.end(), IsControl);
}

absl::Status CheckPattern(const std::string& pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return Bad(fmt::format("longer than {} bytes", kMaxPatternBytes));
  }
  if (!std::all_of(pattern.begin(), pattern.end(), [](char c) { return !IsControl(c); })) {
    return Bad("holds control characters");
  }
  const RE2 compiled(pattern, PatternOptions());
  if (compiled.ok()) return absl::OkStatus();
  return Bad(fmt::format("not an RE2 expression that is allowed: {}", compiled.error()));
}

absl::Status CheckParameter(const Parameter& parameter, const std::string& value) {
  if (value.size() > kMaxParameterValue) {
    return Bad(fmt::format("{} bytes, at most {} are allowed", value.size(), kMaxParameterValue));
  }
  if (!IsParameterValue(value)) return Bad("holds control characters; use one line of text");
  switch (parameter.type) {
    case ParameterType::kChoice:
      if (std::find(parameter.choices.begin(), parameter.choices.end(), value) !=
          parameter.choices.end()) {
        return absl::OkStatus();
      }
      return Bad(fmt::format("{} is not allowed; choose one of {}", Shown(value),
                             Joined(parameter.choices)));
    case ParameterType::kBool:
      if (value == "true" || value == "false") return absl::OkStatus();
      return Bad(fmt::format("{} is not allowed; use true or false", Shown(value)));
    case ParameterType::kText:
      if (value.size() > parameter.max_bytes) {
        return Bad(
            fmt::format("{} bytes, at most {} are allowed", value.size(), parameter.max_bytes));
      }
      if (parameter.pattern.empty() ||
          RE2::FullMatch(value, RE2(parameter.pattern, PatternOptions()))) {
        return absl::OkStatus();
      }
      return Bad(
          fmt::format("{} is not allowed; it has to match {}", Shown(value), parameter.pattern));
    case ParameterType::kFile: {
      const auto path = NormalisePath(value);
      const bool is_below = parameter.under == "." || value.starts_with(parameter.under + "/");
      if (path && *path == value && *path != "." && is_below) return absl::OkStatus();
      return Bad(fmt::format("{} is not allowed; name a file {}", Shown(value),
                             parameter.under == "." ? "of the repository, relative to its top"
                                                    : "below " + parameter.under + "/"));
    }
  }
  return Bad("has no type");
}

std::size_t BytesOf(const ParameterValues& values) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : values) bytes += name.size() + value.size();
  return bytes;
}

absl::StatusOr<ParameterValues> ResolveParameters(const std::vector<Parameter>& declared,
                                                  const ParameterValues& submitted,
                                                  const FileQuestion& is_file) {
  std::vector<std::string> names;
  ParameterValues values;
  for (const Parameter& parameter : declared) {
    names.push_back(parameter.name);
    const auto given = submitted.find(parameter.name);
    const std::string& value = given == submitted.end() ? parameter.default_value : given->second;
    if (const absl::Status status = CheckParameter(parameter, value); !status.ok()) {
      return Invalid(
          fmt::format("parameter {}: {}", parameter.name, std::string(status.message())));
    }
    if (parameter.type == ParameterType::kFile) {
      SLIPWAY_ASSIGN_OR_RETURN(const bool exists, is_file(value));
      if (!exists) {
        return Invalid(fmt::format(
            "parameter {}: {} is no regular file of this commit; name one {}", parameter.name,
            Shown(value),
            parameter.under == "." ? "that is there" : "below " + parameter.under + "/"));
      }
    }
    values.emplace(parameter.name, value);
  }
  for (const auto& [name, value] : submitted) {
    if (values.contains(name)) continue;
    return Invalid(fmt::format("parameter {} is not declared; slipway.yaml of this commit {}",
                               Shown(name),
                               names.empty() ? "declares none" : "declares " + Joined(names)));
  }
  if (BytesOf(values) > kMaxParameterBytes) {
    return Invalid(
        fmt::format("names and values of all parameters together have {} bytes, at most "
                    "{} are allowed",
                    BytesOf(values), kMaxParameterBytes));
  }
  return values;
}

std::string ParameterVariable(std::string_view name) {
  std::string variable = "SLIPWAY_PARAM_";
  for (const char c : name) {
    variable += c == '-' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return variable;
}

}  // namespace slipway::project
