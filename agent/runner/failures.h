#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/protocol/failure.h"

// Every way an attempt can fail at the agent, in one table: class, and what to do in English and
// Chinese, by reason (docs/errors.md).
namespace slipway::runner {

namespace reason {
inline constexpr std::string_view kScriptFailed = "SCRIPT_FAILED";
inline constexpr std::string_view kScriptNotStarted = "SCRIPT_NOT_STARTED";
inline constexpr std::string_view kRunTimeout = "RUN_TIMEOUT";
inline constexpr std::string_view kNoOutputTimeout = "NO_OUTPUT_TIMEOUT";
inline constexpr std::string_view kMemoryLimit = "MEMORY_LIMIT";
inline constexpr std::string_view kDiskLimit = "DISK_LIMIT";
inline constexpr std::string_view kDiskFloor = "DISK_FLOOR";
inline constexpr std::string_view kOutputOutside = "OUTPUT_OUTSIDE";
inline constexpr std::string_view kNoOutput = "NO_OUTPUT";
inline constexpr std::string_view kUnknownPlatform = "UNKNOWN_PLATFORM";
inline constexpr std::string_view kParameterInvalid = "PARAMETER_INVALID";
inline constexpr std::string_view kCachePathTaken = "CACHE_PATH_TAKEN";
inline constexpr std::string_view kNoCredential = "NO_CREDENTIAL";
inline constexpr std::string_view kImageMissing = "IMAGE_MISSING";
inline constexpr std::string_view kPrepareFailed = "PREPARE_FAILED";
inline constexpr std::string_view kPrepareTimeout = "PREPARE_TIMEOUT";
inline constexpr std::string_view kPrepareFile = "PREPARE_FILE_MISSING";
inline constexpr std::string_view kEngineRestarted = "ENGINE_RESTARTED";
inline constexpr std::string_view kContainerLost = "CONTAINER_LOST";
inline constexpr std::string_view kContainerStopped = "CONTAINER_STOPPED";
inline constexpr std::string_view kCanceled = "CANCELED";
inline constexpr std::string_view kPermitExpired = "PERMIT_EXPIRED";
inline constexpr std::string_view kPublishUnknown = "PUBLISH_UNKNOWN";
inline constexpr std::string_view kPublisherFailed = "PUBLISHER_FAILED";
inline constexpr std::string_view kProbeFailed = "PROBE_FAILED";
inline constexpr std::string_view kPreviewFailed = "PREVIEW_FAILED";
inline constexpr std::string_view kNotAPreview = "NOT_A_PREVIEW";
}  // namespace reason

// REQUIRES: `reason` is in the table.
[[nodiscard]] protocol::Failure MakeFailure(std::string_view reason, std::string message,
                                            std::string_view tool_words = {});

// What a failed call means for the attempt: by the status's reason when the table has it, otherwise
// infrastructure, with the status's own reason and remedy. REQUIRES: not ok.
[[nodiscard]] protocol::Failure FailureOf(const absl::Status& status);

// The end of `words` that a Failure may hold, begun at a line when there is one.
[[nodiscard]] std::string LastWords(std::string_view words);

}  // namespace slipway::runner
