#include "controller/api/submit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <initializer_list>
#include <map>
#include <set>
#include <string>

#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/catalog_convert.h"
#include "controller/api/channel_convert.h"
#include "controller/api/fields.h"
#include "controller/domain/task_actions.h"

namespace slipway::api {
namespace {

constexpr int kMaxPlatforms = 32;
constexpr int kMaxChannels = 8;

constexpr std::int32_t kHighestPriority = 100;

bool IsGroupName(const std::string& name) {
  return name.size() <= 63 && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
}

}  // namespace

domain::Task HandOver(const domain::Task& build, const domain::Target& target,
                      domain::TaskKind kind, Labels requirements) {
  domain::Task task = build;
  task.id = TaskId(NewId("task-"));
  task.kind = kind;
  task.platform = target.platform;
  task.target = target.name;
  task.depends_on = build.id;
  task.requirements = std::move(requirements);
  task.group.clear();
  task.queued_since = WallTime();
  task.state = domain::TaskState::kWaiting;
  return task;
}

absl::StatusOr<std::vector<RequestedChannel>> ChannelsFrom(
    const google::protobuf::RepeatedPtrField<v1::ChannelUse>& uses, bool preview,
    const domain::Targets& targets) {
  if (!uses.empty() && preview) {
    return BadField("channels", "a preview is handed to testers by its own code");
  }
  if (uses.size() > kMaxChannels) {
    return BadField("channels", fmt::format("at most {} at once", kMaxChannels));
  }
  std::vector<RequestedChannel> channels;
  std::set<const domain::Target*> seen;
  for (const v1::ChannelUse& use : uses) {
    SLIPWAY_ASSIGN_OR_RETURN(auto channel, RequestedChannelFrom(use, targets));
    if (!seen.insert(channel.target).second) {
      return BadField("channels", fmt::format("'{}' is named twice", use.channel()));
    }
    channels.push_back(std::move(channel));
  }
  return channels;
}

void AddRecipients(const std::vector<RequestedChannel>& channels, domain::Run& run) {
  for (const RequestedChannel& channel : channels) {
    if (channel.recipients.empty()) continue;
    run.recipients[channel.target->platform + "/" + channel.target->name] =
        fmt::format("{}", fmt::join(channel.recipients, ","));
  }
}

absl::StatusOr<Labels> Together(std::initializer_list<Requirer> requirers) {
  Labels all;
  std::map<std::string, std::string> by;
  for (const Requirer& requirer : requirers) {
    for (const auto& [key, value] : requirer.labels) {
      const auto [it, inserted] = all.emplace(key, value);
      if (inserted) by[key] = requirer.who;
      if (it->second == value) continue;
      return MakeError(absl::StatusCode::kFailedPrecondition, "REQUIREMENTS_CONFLICT",
                       fmt::format("{} requires {}={}, {} requires {}={}", by[key], key, it->second,
                                   requirer.who, key, value),
                       "No agent can be both; leave one of them out.");
    }
  }
  // Agents of other executors take only what names them.
  all.emplace("executor", "docker");
  return all;
}

absl::Status CheckPriority(std::int32_t priority) {
  if (priority >= -kHighestPriority && priority <= kHighestPriority) return absl::OkStatus();
  return BadField("priority", "not in -100 … 100");
}

absl::StatusOr<Expanded> Expand(const v1::SubmitRunRequest& request,
                                const domain::Application& application,
                                const domain::Account& account, const domain::Targets& targets,
                                WallTime now) {
  if (request.request_id().empty()) {
    return BadField("request_id", "missing; send a text that is unique for this submit");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("request_id", request.request_id(), 128));
  SLIPWAY_RETURN_IF_ERROR(CheckRef(request.ref()));
  SLIPWAY_RETURN_IF_ERROR(CheckText("version", request.version(), 64));
  SLIPWAY_RETURN_IF_ERROR(CheckText("description", request.description(), 1024, Lines::kMany));
  if (request.platforms_size() == 0) return BadField("platforms", "name at least one");
  if (request.platforms_size() > kMaxPlatforms) {
    return BadField("platforms", fmt::format("at most {} at once", kMaxPlatforms));
  }
  if (request.publish() && request.preview()) {
    return BadField("preview", "is instead of a publish; send one of them");
  }
  const bool hands_over = request.publish() || request.preview();
  if (!request.target().empty() && !hands_over) {
    return BadField("target", "is only for a publish or a preview");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckPriority(request.priority()));
  if (!request.group().empty() && !IsGroupName(request.group())) {
    return BadField("group", "use 1 to 63 of a-z, 0-9, '.', '_' and '-', first a letter or digit");
  }
  SLIPWAY_ASSIGN_OR_RETURN(auto parameters, ParametersFrom("parameters", request.parameters()));
  SLIPWAY_ASSIGN_OR_RETURN(const Labels wanted,
                           RequirementsFrom("requirements", request.requirements()));
  const Requirer submit{"the submit", wanted};
  const Requirer product{fmt::format("application '{}'", application.name),
                         application.requirements};
  SLIPWAY_ASSIGN_OR_RETURN(const Labels requirements, Together({product, submit}));
  Duration queue_timeout = application.queue_timeout;
  if (request.has_queue_timeout()) {
    SLIPWAY_ASSIGN_OR_RETURN(queue_timeout,
                             QueueTimeoutFrom("queue_timeout", request.queue_timeout()));
  }

  SLIPWAY_ASSIGN_OR_RETURN(const auto channels,
                           ChannelsFrom(request.channels(), request.preview(), targets));
  if (request.has_packaging() && channels.empty()) {
    return BadField("packaging", "is how channels get a product; name one in channels");
  }

  Expanded expanded;
  domain::Run& run = expanded.run;
  run.id = RunId(NewId("run-"));
  run.application = application.id;
  run.application_name = application.name;
  run.ref = request.ref();
  run.version = request.version();
  run.no_build_caches = request.no_build_caches();
  run.description = request.description();
  run.submitted_by = account.name;
  run.submitted_at = now;
  run.request_id = request.request_id();
  run.parameters = std::move(parameters);
  AddRecipients(channels, run);

  std::set<std::string> seen;
  for (const std::string& platform : request.platforms()) {
    if (!IsPlatformName(platform)) {
      return BadField("platforms",
                      fmt::format("'{}' is no name of a platform", rpc::ValidUtf8(platform)));
    }
    if (domain::IsChannelPlatform(platform)) {
      return BadField("platforms", fmt::format("'{}' is a channel, which nothing is built for; "
                                               "name it in channels",
                                               platform));
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
    build.requirements = requirements;
    build.priority = request.priority();
    build.group = request.group();
    build.queue_timeout = queue_timeout;
    build.state = domain::TaskState::kQueued;
    build.queued_since = now;
    build.created_at = now;
    expanded.tasks.push_back(build);
    for (const RequestedChannel& channel : channels) {
      expanded.tasks.push_back(HandOver(build, *channel.target, domain::TaskKind::kPublish,
                                        channel.target->requirements));
    }
    if (!hands_over) continue;

    SLIPWAY_RETURN_IF_ERROR(domain::CheckTarget(targets, platform, request.target()));
    const domain::Target* target = targets.Find(platform, request.target());
    SLIPWAY_ASSIGN_OR_RETURN(
        auto required,
        Together(
            {{fmt::format("target '{}'", target->name), target->requirements}, product, submit}));
    expanded.tasks.push_back(HandOver(
        build, *target, request.preview() ? domain::TaskKind::kPreview : domain::TaskKind::kPublish,
        std::move(required)));
  }
  return expanded;
}

}  // namespace slipway::api
