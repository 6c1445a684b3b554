#include "controller/cli/format.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <time.h>

#include <array>
#include <cmath>
#include <map>

#include "common/base/digest.h"
#include "common/config/units.h"
#include "common/rpc/convert.h"

namespace slipway::cli {

std::string FormatBytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0 || value >= 99.95) return fmt::format("{:.0f} {}", value, kUnits[unit]);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string FormatElapsed(Duration elapsed) {
  const double seconds = std::max(0.0, std::chrono::duration<double>(elapsed).count());
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  const time_t seconds = time.seconds();
  tm local{};
  if (localtime_r(&seconds, &local) == nullptr) return "";
  std::array<char, 32> text{};
  return {text.data(), strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local)};
}

std::string FormatBetween(const google::protobuf::Timestamp& from,
                          const google::protobuf::Timestamp& to, WallTime now) {
  if (from.seconds() == 0) return "";
  const WallTime end = to.seconds() == 0 ? now : rpc::FromProto(to);
  return FormatElapsed(end - rpc::FromProto(from));
}

std::string FormatLabels(const google::protobuf::Map<std::string, std::string>& labels) {
  // A protobuf map has no order of its own.
  std::string text;
  for (const auto& [name, value] :
       std::map<std::string, std::string>(labels.begin(), labels.end())) {
    if (!text.empty()) text += ',';
    text += value.empty() ? name : fmt::format("{}={}", name, value);
  }
  return text;
}

std::string FormatSpan(const google::protobuf::Duration& span) {
  const Duration value = rpc::FromProto(span);
  return value == Duration::zero() ? "" : config::FormatDuration(value);
}

std::string FormatDigest(const std::string& bytes) {
  const auto digest = Sha256Digest::FromBytes(bytes);
  return digest ? digest->ToString() : "";
}

const char* StateWord(v1::TaskState state) { return StateName(state, Text(Language::kEnglish)); }

const char* StateName(v1::TaskState state, Text t) {
  switch (state) {
    case v1::TASK_STATE_WAITING: return t("waiting", "等待前序任务");
    case v1::TASK_STATE_QUEUED: return t("queued", "排队中");
    case v1::TASK_STATE_OFFERED: return t("offered", "派发中");
    case v1::TASK_STATE_RUNNING: return t("running", "运行中");
    case v1::TASK_STATE_SUCCEEDED: return t("succeeded", "成功");
    case v1::TASK_STATE_FAILED: return t("failed", "失败");
    case v1::TASK_STATE_CANCELED: return t("canceled", "已取消");
    case v1::TASK_STATE_SKIPPED: return t("skipped", "已跳过");
    case v1::TASK_STATE_UNKNOWN: return t("unknown", "结果未知");
    default: return "?";
  }
}

const char* KindName(v1::TaskKind kind, Text t) {
  switch (kind) {
    case v1::TASK_KIND_BUILD: return t("build", "构建");
    case v1::TASK_KIND_PUBLISH: return t("publish", "发布");
    case v1::TASK_KIND_PROBE: return t("probe", "探测");
    case v1::TASK_KIND_PREVIEW: return t("preview", "预览");
    case v1::TASK_KIND_SCRIPT: return t("script", "脚本");
    default: return "?";
  }
}

const char* FailureClassWord(v1::FailureClass failure_class) {
  switch (failure_class) {
    case v1::FAILURE_CLASS_BUILD: return "build";
    case v1::FAILURE_CLASS_TIMEOUT: return "timeout";
    case v1::FAILURE_CLASS_CANCELED: return "canceled";
    case v1::FAILURE_CLASS_AGENT_LOST: return "agent_lost";
    case v1::FAILURE_CLASS_INFRASTRUCTURE: return "infrastructure";
    case v1::FAILURE_CLASS_POLICY: return "policy";
    case v1::FAILURE_CLASS_CREDENTIAL: return "credential";
    case v1::FAILURE_CLASS_PLATFORM_REFUSED: return "platform_refused";
    case v1::FAILURE_CLASS_NETWORK: return "network";
    case v1::FAILURE_CLASS_PUBLISH_UNKNOWN: return "publish_unknown";
    default: return "?";
  }
}

std::string FailureClassName(v1::FailureClass failure_class, Text t) {
  const auto explain = [&]() -> const char* {
    switch (failure_class) {
      case v1::FAILURE_CLASS_BUILD:
        return t("the script, the ref or slipway.yaml", "脚本、引用或 slipway.yaml 的问题");
      case v1::FAILURE_CLASS_TIMEOUT: return t("a time limit was reached", "超过时限");
      case v1::FAILURE_CLASS_CANCELED: return t("somebody canceled it", "被人取消");
      case v1::FAILURE_CLASS_AGENT_LOST:
        return t("the agent or its container went away", "代理或其容器中途消失");
      case v1::FAILURE_CLASS_INFRASTRUCTURE: return t("the farm itself", "构建农场自身的问题");
      case v1::FAILURE_CLASS_POLICY: return t("a rule forbids it", "被规则禁止");
      case v1::FAILURE_CLASS_CREDENTIAL:
        return t("the publishing or the repository's credential", "发布凭证或仓库凭证的问题");
      case v1::FAILURE_CLASS_PLATFORM_REFUSED: return t("the platform said no", "平台拒绝");
      case v1::FAILURE_CLASS_NETWORK:
        return t("repository or platform not reachable; nothing was published",
                 "仓库或平台不可达；没有发布任何内容");
      case v1::FAILURE_CLASS_PUBLISH_UNKNOWN:
        return t("the publish may or may not have happened", "发布可能已生效，也可能没有");
      default: return "";
    }
  }();
  return fmt::format("{} ({})", FailureClassWord(failure_class), explain);
}

std::string TaskTitle(const v1::Task& task, Text t) {
  if (task.kind() == v1::TASK_KIND_SCRIPT) {
    return fmt::format("{} {}", KindName(task.kind(), t), task.script_name());
  }
  std::string title = fmt::format("{} {}", task.platform(), KindName(task.kind(), t));
  if (!task.target().empty()) title += fmt::format(" → {}", task.target());
  return title;
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails for nothing but Any fields of unknown types, and no message of ours has an Any.
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return fmt::format("{{\"error\": \"{}\"}}\n", status.ToString());
  if (json.empty() || json.back() != '\n') json += '\n';
  return json;
}

}  // namespace slipway::cli
