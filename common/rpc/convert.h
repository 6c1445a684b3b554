#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"
#include "slipway/v1/agent.pb.h"
#include "slipway/v1/common.pb.h"

// Protocol values to and from their messages. Reading checks shape and bounds (an enum that is not
// set, a digest that is not 32 bytes, a text beyond its limit): kInvalidArgument names the field.
// Writing makes texts valid UTF-8 and cuts those beyond their limit.
namespace slipway::rpc {

google::protobuf::Timestamp ToProto(WallTime t);
WallTime FromProto(const google::protobuf::Timestamp& t);
google::protobuf::Duration ToProtoDuration(Duration d);
Duration FromProto(const google::protobuf::Duration& d);

v1::AttemptRef ToProto(const AttemptKey& key);
absl::StatusOr<AttemptKey> FromProto(const v1::AttemptRef& ref);

v1::Failure ToProto(const protocol::Failure& failure);
absl::StatusOr<protocol::Failure> FromProto(const v1::Failure& failure);

v1::AttemptResult ToProto(const protocol::AttemptResult& result);
absl::StatusOr<protocol::AttemptResult> FromProto(const v1::AttemptResult& result);

// 32 bytes, or none for the zero digest.
std::string ToProto(const Sha256Digest& digest);
absl::StatusOr<Sha256Digest> DigestFromProto(const std::string& bytes, const char* field);

// REQUIRES: not a LogChunk (log bytes travel on AppendLog).
v1::AgentMessage ToProto(const protocol::AgentMessage& message);
absl::StatusOr<protocol::AgentMessage> FromProto(const v1::AgentMessage& message);

// REQUIRES: not a LogAck. `spec` of a DesiredAttempt is a serialised v1::TaskSpec.
v1::ControllerMessage ToProto(const protocol::ControllerMessage& message);
absl::StatusOr<protocol::ControllerMessage> FromProto(const v1::ControllerMessage& message);

}  // namespace slipway::rpc
