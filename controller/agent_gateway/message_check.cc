#include "controller/agent_gateway/message_check.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "common/status/status.h"
#include "controller/agent_gateway/text.h"

namespace slipway::agent_gateway {
namespace {

using protocol::AttemptResult;
using protocol::FailureClass;

absl::Status Bad(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_AGENT_MESSAGE",
                   "agent message refused: " + std::string(what),
                   "Install the agent version that belongs to this controller.");
}

void Clean(std::string& text, std::size_t max_bytes) { text = StorableText(text, max_bytes); }

absl::Status CheckKey(const AttemptKey& key) {
  const std::string& id = key.task.value();
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (id.empty() || id.size() > kMaxIdBytes || !plain) return Bad("task id");
  if (key.attempt.value() < 1) return Bad("attempt number");
  return absl::OkStatus();
}

absl::Status CheckFailure(protocol::Failure& failure) {
  if (failure.klass < FailureClass::kBuild || failure.klass > FailureClass::kPublishUnknown) {
    return Bad("failure class");
  }
  Clean(failure.reason, kMaxReasonBytes);
  Clean(failure.message, kMaxMessageBytes);
  Clean(failure.tool_words, kMaxMessageBytes);
  Clean(failure.remedy, kMaxMessageBytes);
  Clean(failure.remedy_zh, kMaxMessageBytes);
  return absl::OkStatus();
}

absl::Status Check(protocol::Inventory& inventory) {
  if (inventory.sequence == 0) return Bad("inventory sequence 0");
  if (inventory.slots > kMaxSlots) return Bad("more slots than any agent has");
  if (inventory.attempts.size() > kMaxInventoryAttempts) return Bad("too many attempts");
  if (inventory.labels.size() > kMaxLabels) return Bad("too many labels");
  for (const auto& [key, value] : inventory.labels) {
    const bool fits =
        !key.empty() && key.size() <= kMaxLabelBytes && value.size() <= kMaxLabelBytes;
    if (!fits || StorableText(key, kMaxLabelBytes) != key ||
        StorableText(value, kMaxLabelBytes) != value) {
      return Bad("label");
    }
    // What is handed to channels leaves this process, and no other.
    if (key == "executor" && value == "controller") return Bad("label executor=controller");
  }
  std::set<AttemptKey> seen;
  for (const protocol::AttemptStatus& status : inventory.attempts) {
    SLIPWAY_RETURN_IF_ERROR(CheckKey(status.key));
    if (!seen.insert(status.key).second) return Bad("attempt listed twice");
    if (status.phase < protocol::AttemptPhase::kAccepted ||
        status.phase > protocol::AttemptPhase::kFinished) {
      return Bad("attempt phase");
    }
    if (status.kind < protocol::TaskKind::kBuild || status.kind > protocol::TaskKind::kScript) {
      return Bad("task kind");
    }
  }
  if (inventory.health.disks.size() > kMaxDisks) return Bad("too many disks");
  for (protocol::DiskHealth& disk : inventory.health.disks) Clean(disk.path, kMaxMessageBytes);
  Clean(inventory.health.engine.words, kMaxMessageBytes);
  if (inventory.images.size() > kMaxImages) return Bad("too many images");
  for (protocol::ImageReport& image : inventory.images) {
    Clean(image.order.image, kMaxMessageBytes);
    Clean(image.id, kMaxReasonBytes);
    if (image.failure) SLIPWAY_RETURN_IF_ERROR(CheckFailure(*image.failure));
  }
  return absl::OkStatus();
}

absl::Status Check(protocol::Accept& accept) { return CheckKey(accept.key); }

absl::Status Check(protocol::Refuse& refuse) {
  Clean(refuse.reason, kMaxReasonBytes);
  return CheckKey(refuse.key);
}

absl::Status Check(protocol::StepReport& step) {
  if (step.number < 1 || step.number > kMaxStepNumber) return Bad("step number");
  if (step.state < protocol::StepState::kStarted || step.state > protocol::StepState::kFailed) {
    return Bad("step state");
  }
  Clean(step.name, kMaxStepNameBytes);
  Clean(step.detail, kMaxStepDetailBytes);
  return CheckKey(step.key);
}

absl::Status CheckBuild(protocol::BuildOutcome& build) {
  if (build.sealed_credential.size() > kMaxSealedBytes) return Bad("sealed credential");
  if (build.publish_options.size() > kMaxPublishOptions) return Bad("publish options");
  if (build.parameters.size() > kMaxParameters) return Bad("parameters");
  for (auto& [name, value] : build.parameters) {
    if (name.size() > kMaxReasonBytes || StorableText(name, kMaxReasonBytes) != name) {
      return Bad("name of a parameter");
    }
    Clean(value, kMaxMessageBytes);
  }
  Clean(build.commit, kMaxReasonBytes);
  Clean(build.commit_subject, kMaxMessageBytes);
  Clean(build.image_digest, kMaxReasonBytes);
  Clean(build.image, kMaxReasonBytes);
  Clean(build.version, kMaxReasonBytes);
  Clean(build.script_qr, kMaxMessageBytes);
  Clean(build.app_id, kMaxReasonBytes);
  for (std::string& option : build.publish_options) Clean(option, kMaxMessageBytes);
  return absl::OkStatus();
}

absl::Status Check(protocol::ResultReport& report) {
  SLIPWAY_RETURN_IF_ERROR(CheckKey(report.key));
  AttemptResult& result = report.result;
  if (result.log.size > kMaxLogBytes || result.log.missing > kMaxLogBytes) return Bad("log size");
  if (result.failure) SLIPWAY_RETURN_IF_ERROR(CheckFailure(*result.failure));
  if (result.build) SLIPWAY_RETURN_IF_ERROR(CheckBuild(*result.build));
  if (result.publish) {
    Clean(result.publish->link, kMaxMessageBytes);
    Clean(result.publish->code.text, kMaxMessageBytes);
    Clean(result.publish->code.image_url, kMaxMessageBytes);
    if (result.publish->details_json.size() > kMaxDetailsBytes) return Bad("publish details");
    Clean(result.publish->details_json, kMaxDetailsBytes);
  }
  if (result.probe) {
    Clean(result.probe->version, kMaxReasonBytes);
    for (auto* text : {&result.probe->link, &result.probe->words, &result.probe->remedy,
                       &result.probe->remedy_zh}) {
      Clean(*text, kMaxMessageBytes);
    }
  }
  return absl::OkStatus();
}

absl::Status Check(protocol::PermitRequest& request) {
  if (request.manifest.IsZero()) return Bad("permit asked for no bytes");
  return CheckKey(request.key);
}

absl::Status Check(protocol::LogChunk& chunk) {
  if (chunk.data.size() > kMaxChunkBytes) return Bad("log chunk too long");
  if (chunk.offset > kMaxLogBytes) return Bad("log offset");
  return CheckKey(chunk.key);
}

}  // namespace

absl::Status CheckAndClean(protocol::AgentMessage& message) {
  return std::visit([](auto& body) { return Check(body); }, message);
}

}  // namespace slipway::agent_gateway
