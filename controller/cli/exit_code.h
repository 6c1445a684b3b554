#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include "absl/status/status.h"
#include "slipway/v1/task.pb.h"

namespace slipway::cli {

// What the program's end tells scripts; listed in --help and docs/cli.md. Never renumbered.
enum class ExitCode {
  kOk = 0,
  kFailed = 1,          // the task or run failed, or what was asked for could not be done here
  kUsage = 2,           // flags or configuration of this program
  kController = 3,      // the controller said no or did not answer
  kOutcomeUnknown = 4,  // a publish may or may not have happened
  kNotLoggedIn = 5,     // no login, or one that has ended
  kForbidden = 6,       // the controller knows who asks, and that they may not
  kDifferent = 7,       // diff: the farm is not as the files say
  kInterrupted = 130,   // Ctrl-C
};

// Who an error comes from, carried inside the status.
[[nodiscard]] absl::Status UsageError(absl::Status status);
[[nodiscard]] absl::Status ControllerError(absl::Status status);
[[nodiscard]] absl::Status NotLoggedInError(absl::Status status);
// Whether ControllerError made it: everything else is this program's or this machine's.
[[nodiscard]] bool IsControllerError(const absl::Status& status);

// kInterrupted for kCancelled made by the user's Ctrl-C (InterruptedError).
[[nodiscard]] absl::Status InterruptedError();
[[nodiscard]] ExitCode ExitCodeOf(const absl::Status& status);

[[nodiscard]] bool IsFinished(v1::TaskState state);
// Of tasks that are all finished: an unknown outcome outranks a failure, as it needs a person.
[[nodiscard]] ExitCode ExitCodeOf(const google::protobuf::RepeatedPtrField<v1::Task>& tasks);

}  // namespace slipway::cli
