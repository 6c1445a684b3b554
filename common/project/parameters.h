#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

// What a build can be told: declared by slipway.yaml, chosen at a submit by people who write no
// code, handed to the script as a variable. Declaration and values are hostile input.
namespace slipway::project {

enum class ParameterType {
  kChoice,
  kBool,
  kText,
  // The path of a regular file of the commit.
  kFile,
};

// "choice", "bool", "text", "file".
[[nodiscard]] std::string_view ParameterTypeName(ParameterType type);

// Words for people; either may be empty.
struct LocalText {
  std::string en;
  std::string zh;

  friend bool operator==(const LocalText&, const LocalText&) = default;
};

struct Parameter {
  // [a-z][a-z0-9-]{0,31}
  std::string name;
  ParameterType type = ParameterType::kText;
  // Allowed as a value; of a file only its place is known before the commit is looked at.
  std::string default_value;
  // Of a choice, at least one.
  std::vector<std::string> choices;
  // Of a text: the whole value matches this RE2 expression; empty: any.
  std::string pattern;
  // Of a text: bytes.
  std::size_t max_bytes = 0;
  // Of a file: normalised folder of the repository that it is below; ".": anywhere.
  std::string under;
  // What to call it and what it does; may be empty.
  LocalText label;
  LocalText help;

  friend bool operator==(const Parameter&, const Parameter&) = default;
};

using ParameterValues = std::map<std::string, std::string>;

inline constexpr std::size_t kMaxParameters = 32;
inline constexpr std::size_t kMaxParameterValue = 1024;
// Of all names and values together: they stand in every answer about a run, and in the audit trail.
inline constexpr std::size_t kMaxParameterBytes = 8192;

[[nodiscard]] bool IsParameterName(std::string_view text);
// One line of at most kMaxParameterValue bytes, without control characters.
[[nodiscard]] bool IsParameterValue(std::string_view text);

// kInvalidArgument: why `pattern` is not allowed. RE2 matches in linear time, and its programs are
// bounded here; what it cannot do, such as back references, is refused.
[[nodiscard]] absl::Status CheckPattern(const std::string& pattern);

// kInvalidArgument: what is wrong with `value`, and what is allowed. Pure; thread-safe.
[[nodiscard]] absl::Status CheckParameter(const Parameter& parameter, const std::string& value);

// Whether the commit has a regular file of that path.
using FileQuestion = std::function<absl::StatusOr<bool>(const std::string& path)>;

[[nodiscard]] std::size_t BytesOf(const ParameterValues& values);

// A value for every parameter that is declared: the submitted one, else its default.
// kInvalidArgument, reason PARAMETER_INVALID: a value that is not allowed, a parameter that is not
// declared, with what is, or more than kMaxParameterBytes. Errors of `is_file` as they are.
[[nodiscard]] absl::StatusOr<ParameterValues> ResolveParameters(
    const std::vector<Parameter>& declared, const ParameterValues& submitted,
    const FileQuestion& is_file);

// "SLIPWAY_PARAM_PROGRAM_ENTRY" for program-entry. REQUIRES: IsParameterName.
[[nodiscard]] std::string ParameterVariable(std::string_view name);

}  // namespace slipway::project
