#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>

#include "common/base/ids.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/repeat_call.h"
#include "controller/cli/submitted.h"

namespace slipway::cli {
namespace {

// "email/qa=a@example.com,b@example.com"; the controller says what is wrong with it.
void AddChannel(const std::string& text,
                google::protobuf::RepeatedPtrField<v1::ChannelUse>& channels) {
  v1::ChannelUse& use = *channels.Add();
  const auto equals = text.find('=');
  use.set_channel(text.substr(0, equals));
  if (equals == std::string::npos) return;
  std::string_view rest = std::string_view(text).substr(equals + 1);
  while (true) {
    const auto comma = rest.find(',');
    use.add_recipients(std::string(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

// Those that are named; of "all", those that slipway.yaml declares at the default branch.
absl::StatusOr<std::vector<std::string>> PlatformsOf(Session& session, const Client& client,
                                                     const SubmitFlags& flags) {
  const auto& named = flags.platforms;
  if (std::find(named.begin(), named.end(), "all") == named.end()) return named;
  if (named.size() > 1) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
        session.text("--platform: all stands alone", "--platform：all 不能与其他平台同时给出"),
        ""));
  }
  // Has the controller look into the repository.
  v1::ListVersionsRequest versions;
  versions.set_application(flags.application);
  versions.set_page_size(1);
  v1::ListVersionsResponse newest;
  using Stub = v1::OverviewService::Stub;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.overviews(), &Stub::ListVersions, versions, newest));
  v1::GetOverviewRequest request;
  request.set_application(flags.application);
  request.set_versions(1);
  v1::Overview overview;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.overviews(), &Stub::GetOverview, request, overview));
  std::vector<std::string> platforms;
  if (overview.applications_size() > 0) {
    const v1::ApplicationOverview& application = overview.applications(0);
    if (application.has_platforms_problem()) {
      return ControllerError(rpc::FromCallError(application.platforms_problem()));
    }
    for (const auto& platform : application.platforms()) platforms.push_back(platform.name());
  }
  if (!platforms.empty()) return platforms;
  return MakeError(absl::StatusCode::kFailedPrecondition, "PLATFORMS_UNKNOWN",
                   session.text("the controller does not know which platforms the application has",
                                "控制器不知道该应用声明了哪些平台"),
                   session.text("Name them with --platform, or ask again in a moment.",
                                "请用 --platform 指定，或稍后重试。"));
}

// A run for each ref; one that is refused keeps no other back.
Outcome SubmitEach(Session& session, const Client& client, const SubmitFlags& flags,
                   v1::SubmitRunRequest& request, const RetryOptions& retry) {
  v1::SubmitRunsRequest all;
  for (std::size_t i = 0; i < flags.refs.size(); ++i) {
    v1::SubmitRunRequest& one = *all.add_runs();
    one = request;
    one.set_ref(flags.refs[i]);
    one.set_request_id(fmt::format("{}/{}", request.request_id(), i + 1));
  }
  v1::SubmitRunsResponse response;
  const absl::Status submitted =
      CallAgain(client, client.tasks(), &v1::TaskService::Stub::SubmitRuns, all, response);
  if (request.has_packaging()) {
    ForgetPasswords(*request.mutable_packaging());
    for (v1::SubmitRunRequest& one : *all.mutable_runs()) {
      ForgetPasswords(*one.mutable_packaging());
    }
  }
  SLIPWAY_RETURN_IF_ERROR(submitted);
  return TellAll(session, client, response.runs(), flags.refs, flags.follow, retry);
}

}  // namespace

Outcome Submit(Session& session, const SubmitFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  v1::SubmitRunRequest request;
  request.set_request_id(flags.request_id.empty() ? NewUuid() : flags.request_id);
  request.set_application(flags.application);
  if (!flags.refs.empty()) request.set_ref(flags.refs.front());
  request.set_version(flags.version);
  request.set_description(flags.description);
  request.set_publish(flags.publish);
  request.set_preview(flags.preview);
  request.set_target(flags.target);
  request.set_priority(flags.priority);
  request.set_group(flags.group);
  SLIPWAY_RETURN_IF_ERROR(ReadLabels(flags.require, session.text, *request.mutable_requirements()));
  SLIPWAY_RETURN_IF_ERROR(
      ReadParameters(flags.parameters, session.text, *request.mutable_parameters()));
  for (const std::string& channel : flags.channels) {
    AddChannel(channel, *request.mutable_channels());
  }
  request.set_after_script(flags.after_script);
  request.set_no_cache(flags.no_cache);
  request.set_no_build_caches(flags.no_cache);
  if (SaysPackaging(flags.packaging)) {
    if (flags.channels.empty()) {
      return UsageError(
          MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                    session.text("packages are made for channels, and no --channel is given",
                                 "安装包用于渠道交付，但未指定 --channel"),
                    session.text("Name one, or fetch a package later: slipway archive package.",
                                 "请指定渠道，或稍后用 slipway archive package 获取。")));
    }
    prctl(PR_SET_DUMPABLE, 0);
    SLIPWAY_RETURN_IF_ERROR(ReadPackaging(session, flags.packaging, *request.mutable_packaging()));
  }
  if (!flags.queue_timeout.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_queue_timeout(),
                             ReadQueueTimeout(flags.queue_timeout));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  SLIPWAY_ASSIGN_OR_RETURN(const auto platforms, PlatformsOf(session, *client, flags));
  for (const std::string& platform : platforms) request.add_platforms(platform);
  if (flags.refs.size() > 1) return SubmitEach(session, *client, flags, request, retry);
  v1::SubmitRunResponse response;
  const absl::Status submitted =
      CallAgain(*client, client->tasks(), &v1::TaskService::Stub::SubmitRun, request, response);
  if (request.has_packaging()) ForgetPasswords(*request.mutable_packaging());
  SLIPWAY_RETURN_IF_ERROR(submitted);
  return TellSubmitted(session, *client, response, flags.follow, retry);
}

Outcome PublishProduct(Session& session, const PublishProductFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  v1::PublishProductRequest request;
  request.set_request_id(flags.request_id.empty() ? NewUuid() : flags.request_id);
  request.set_product(flags.product);
  request.set_preview(flags.preview);
  // What else "publish" means, unless only channels are named.
  request.set_publish(!flags.preview && (flags.channels.empty() || !flags.target.empty()));
  request.set_target(flags.target);
  request.set_description(flags.description);
  for (const std::string& channel : flags.channels) {
    AddChannel(channel, *request.mutable_channels());
  }
  SLIPWAY_RETURN_IF_ERROR(ReadLabels(flags.require, session.text, *request.mutable_requirements()));
  if (!flags.queue_timeout.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_queue_timeout(),
                             ReadQueueTimeout(flags.queue_timeout));
  }
  if (SaysPackaging(flags.packaging)) {
    prctl(PR_SET_DUMPABLE, 0);
    SLIPWAY_RETURN_IF_ERROR(ReadPackaging(session, flags.packaging, *request.mutable_packaging()));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::SubmitRunResponse response;
  const absl::Status submitted = CallAgain(
      *client, client->tasks(), &v1::TaskService::Stub::PublishProduct, request, response);
  if (request.has_packaging()) ForgetPasswords(*request.mutable_packaging());
  SLIPWAY_RETURN_IF_ERROR(submitted);
  return TellSubmitted(session, *client, response, flags.follow, retry);
}

Outcome SubmitAgain(Session& session, const SubmitAgainFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  v1::SubmitAgainRequest request;
  request.set_request_id(flags.request_id.empty() ? NewUuid() : flags.request_id);
  request.set_run(flags.run);
  request.set_only_failed(flags.only_failed);
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::SubmitAgainResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      CallAgain(*client, client->tasks(), &v1::TaskService::Stub::SubmitAgain, request, response));
  return TellAll(session, *client, response.runs(), {}, flags.follow, retry);
}

}  // namespace slipway::cli
