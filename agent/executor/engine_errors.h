#pragma once

#include <string_view>

#include "absl/status/status.h"

// The errors that every engine gives alike, with the words that tell the operator what to do.
// `cause` holds the Engine's or the system's own words.
namespace slipway::executor {

[[nodiscard]] absl::Status NoDockerEngineError(std::string_view socket, std::string_view cause);
[[nodiscard]] absl::Status EngineSocketDeniedError(std::string_view socket, std::string_view cause);
// `request`: what was asked.
[[nodiscard]] absl::Status EngineAnswerInvalidError(std::string_view request,
                                                    std::string_view cause);
[[nodiscard]] absl::Status ImageMissingError(std::string_view image, std::string_view cause);
[[nodiscard]] absl::Status ImageInUseError(std::string_view image, std::string_view cause);
[[nodiscard]] absl::Status RegistryUnreachableError(std::string_view image, std::string_view cause);
[[nodiscard]] absl::Status NetworkNotOursError(std::string_view network);
[[nodiscard]] absl::Status NameTakenError(std::string_view cause);
[[nodiscard]] absl::Status HostNetworkRefusedError(std::string_view container);

}  // namespace slipway::executor
