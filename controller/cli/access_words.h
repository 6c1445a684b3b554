#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/cli/text.h"
#include "slipway/v1/access.pb.h"

// The words of accounts and grants: on the command line as in the protocol ("run_script"), for
// people of the language. Pure functions.
namespace slipway::cli {

[[nodiscard]] const char* OperationWord(v1::Operation operation);
[[nodiscard]] const char* KindWord(v1::AccountKind kind);
[[nodiscard]] const char* KindName(v1::AccountKind kind, Text t);
[[nodiscard]] const char* AccountStateName(v1::AccountState state, Text t);

// All that may be said on the command line, in order.
[[nodiscard]] std::vector<std::string> OperationWords();
[[nodiscard]] std::vector<std::string> KindWords();
[[nodiscard]] std::vector<std::string> PresetWords();

// Usage errors list what is known.
[[nodiscard]] absl::StatusOr<v1::Operation> ParseOperation(const std::string& word, Text text);
[[nodiscard]] absl::StatusOr<v1::AccountKind> ParseKind(const std::string& word, Text text);
[[nodiscard]] absl::StatusOr<std::vector<v1::Operation>> ParsePreset(const std::string& word,
                                                                     Text text);
// "active" or "disabled".
[[nodiscard]] absl::StatusOr<v1::AccountState> ParseAccountState(const std::string& word,
                                                                 Text text);

// "package, preview"; `none` when there are none.
[[nodiscard]] std::string JoinOperations(const google::protobuf::RepeatedField<int>& operations,
                                         const char* none);

}  // namespace slipway::cli
