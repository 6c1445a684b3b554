#include "controller/api/submit.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "common/rpc/text.h"
#include "common/status/status.h"

namespace slipway::api {
namespace {

constexpr int kMaxPlatforms = 32;

absl::Status BadField(const char* field, const std::string& why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                   fmt::format("{}: {}", field, why));
}

// Names go into logs, environments and terminals; a description may have lines.
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool IsControlInText(char c) { return IsControl(c) && c != '\n' && c != '\t'; }

bool IsPlatformName(const std::string& name) {
  return !name.empty() && name.size() <= 32 && name.front() >= 'a' && name.front() <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

}  // namespace

absl::Status CheckText(const char* field, const std::string& text, std::size_t limit, bool lines) {
  if (text.size() > limit) {
    return BadField(field, fmt::format("{} bytes, at most {} are allowed", text.size(), limit));
  }
  if (rpc::ValidUtf8(text) != text) return BadField(field, "holds bytes that are not text");
  if (std::any_of(text.begin(), text.end(), lines ? IsControlInText : IsControl)) {
    return BadField(field, "holds control characters");
  }
  return absl::OkStatus();
}

absl::StatusOr<Expanded> Expand(const v1::SubmitRunRequest& request,
                                const domain::Application& application,
                                const domain::Account& account, const runs::Targets& targets,
                                WallTime now) {
  if (request.request_id().empty()) {
    return BadField("request_id", "missing; send a text that is unique for this submit");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), 128));
  SLIPWAY_RETURN_IF_ERROR(CheckText("ref", request.ref(), 256));
  SLIPWAY_RETURN_IF_ERROR(CheckText("version", request.version(), 64));
  SLIPWAY_RETURN_IF_ERROR(CheckText("description", request.description(), 1024, true));
  if (request.ref().rfind('-', 0) == 0) return BadField("ref", "must not begin with '-'");
  if (request.platforms_size() == 0) return BadField("platforms", "name at least one");
  if (request.platforms_size() > kMaxPlatforms) {
    return BadField("platforms", fmt::format("at most {} at once", kMaxPlatforms));
  }
  if (!request.target().empty() && !request.publish()) {
    return BadField("target", "is only for a publish");
  }

  Expanded expanded;
  domain::Run& run = expanded.run;
  run.id = RunId(NewId("run-"));
  run.application = application.id;
  run.application_name = application.name;
  run.ref = request.ref();
  run.version = request.version();
  run.description = request.description();
  run.submitted_by = account.name;
  run.submitted_at = now;
  run.request_id = request.request_id();

  std::set<std::string> seen;
  for (const std::string& platform : request.platforms()) {
    if (!IsPlatformName(platform)) {
      return BadField("platforms",
                      fmt::format("'{}' is no name of a platform", rpc::ValidUtf8(platform)));
    }
    if (!seen.insert(platform).second) {
      return BadField("platforms", fmt::format("'{}' is named twice", platform));
    }
    domain::Task build;
    build.id = TaskId(NewId("task-"));
    build.run = run.id;
    build.application = application.id;
    build.kind = domain::TaskKind::kBuild;
    build.platform = platform;
    build.state = domain::TaskState::kQueued;
    build.created_at = now;
    expanded.tasks.push_back(build);
    if (!request.publish()) continue;

    const runs::Target* target = targets.Find(platform, request.target());
    if (target == nullptr) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, "NO_TARGET",
          request.target().empty()
              ? fmt::format("no publish target is configured for platform '{}'", platform)
              : fmt::format("no publish target '{}' is configured for platform '{}'",
                            request.target(), platform),
          "The operator adds it under `targets:` in the controller's configuration.");
    }
    domain::Task publish = build;
    publish.id = TaskId(NewId("task-"));
    publish.kind = domain::TaskKind::kPublish;
    publish.target = target->name;
    publish.depends_on = build.id;
    publish.state = domain::TaskState::kWaiting;
    expanded.tasks.push_back(std::move(publish));
  }
  return expanded;
}

}  // namespace slipway::api
