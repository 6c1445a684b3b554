#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/api/channel_convert.h"
#include "controller/domain/account.h"
#include "controller/domain/application.h"
#include "controller/domain/target.h"
#include "controller/domain/task.h"
#include "slipway/v1/task.pb.h"

namespace slipway::api {

struct Expanded {
  domain::Run run;
  std::vector<domain::Task> tasks;
};

// Who requires labels, for messages, and which.
struct Requirer {
  std::string who;
  const std::map<std::string, std::string>& labels;
};
// What all of them require, "executor" with its default. kFailedPrecondition, reason
// REQUIREMENTS_CONFLICT.
[[nodiscard]] absl::StatusOr<std::map<std::string, std::string>> Together(
    std::initializer_list<Requirer> requirers);

// The task that hands the product of `build` to `target` when the build has succeeded.
[[nodiscard]] domain::Task HandOver(const domain::Task& build, const domain::Target& target,
                                    domain::TaskKind kind,
                                    std::map<std::string, std::string> requirements);

// The channels of a submit, checked. Errors as of RequestedChannelFrom.
[[nodiscard]] absl::StatusOr<std::vector<RequestedChannel>> ChannelsFrom(
    const google::protobuf::RepeatedPtrField<v1::ChannelUse>& uses, bool preview,
    const domain::Targets& targets);
void AddRecipients(const std::vector<RequestedChannel>& channels, domain::Run& run);

// -100 … 100. kInvalidArgument.
[[nodiscard]] absl::Status CheckPriority(std::int32_t priority);

// The run of a request and its tasks: per platform a build and, when asked for, the publish or
// preview that waits for it. kInvalidArgument names the field; kFailedPrecondition, reason
// NO_TARGET or REQUIREMENTS_CONFLICT. Pure but for ids.
absl::StatusOr<Expanded> Expand(const v1::SubmitRunRequest& request,
                                const domain::Application& application,
                                const domain::Account& account, const domain::Targets& targets,
                                WallTime now);

}  // namespace slipway::api
