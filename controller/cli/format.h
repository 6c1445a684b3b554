#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>

#include "common/base/time.h"
#include "controller/cli/text.h"
#include "slipway/v1/common.pb.h"
#include "slipway/v1/task.pb.h"

// Single values for people (and, ToJson, for programs). Pure functions.
namespace slipway::cli {

// "0 B", "777 B", "1.2 KiB", "34 MiB".
[[nodiscard]] std::string FormatBytes(std::uint64_t bytes);
// "0.8 s", "12 s", "3 min 5 s", "2 h 3 min"; negative is "0.0 s".
[[nodiscard]] std::string FormatElapsed(Duration elapsed);
// "2024-05-01 12:30:05" in the local time zone; empty for a time that is not set.
[[nodiscard]] std::string FormatTime(const google::protobuf::Timestamp& time);
// Between two times; empty when the first is not set, until `now` when the second is not.
[[nodiscard]] std::string FormatBetween(const google::protobuf::Timestamp& from,
                                        const google::protobuf::Timestamp& to, WallTime now);
// "os=linux,zone=north" in order of the keys; a label without a value is its key alone.
[[nodiscard]] std::string FormatLabels(
    const google::protobuf::Map<std::string, std::string>& labels);
// "30m"; empty when the duration is not set.
[[nodiscard]] std::string FormatSpan(const google::protobuf::Duration& span);
// "sha256:…" of 32 bytes; empty for anything else.
[[nodiscard]] std::string FormatDigest(const std::string& bytes);

// The words of the wire and of --state ("queued"), and for people of the language.
[[nodiscard]] const char* StateWord(v1::TaskState state);
[[nodiscard]] const char* StateName(v1::TaskState state, Text t);
[[nodiscard]] const char* KindName(v1::TaskKind kind, Text t);
// "build", "platform_refused", … as in JSON of the controller.
[[nodiscard]] const char* FailureClassWord(v1::FailureClass failure_class);
// The same with an explanation.
[[nodiscard]] std::string FailureClassName(v1::FailureClass failure_class, Text t);
// "weixin build", "weixin publish → production".
[[nodiscard]] std::string TaskTitle(const v1::Task& task, Text t);

// Field names as in the .proto files, unset fields included; ends with a newline.
[[nodiscard]] std::string ToJson(const google::protobuf::Message& message);
// The same document.
[[nodiscard]] std::string ToYaml(const google::protobuf::Message& message);

}  // namespace slipway::cli
