#include <fmt/format.h>

#include "common/config/units.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"

namespace slipway::cli {

absl::Status ReadLabels(const std::vector<std::string>& texts, Text text,
                        google::protobuf::Map<std::string, std::string>& labels) {
  for (const std::string& label : texts) {
    const auto equals = label.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return UsageError(
          MakeError(absl::StatusCode::kInvalidArgument, "BAD_LABEL",
                    fmt::format(fmt::runtime(text("--require: '{}' is not KEY=VALUE",
                                                  "--require：'{}' 不是 KEY=VALUE 的形式")),
                                label)));
    }
    labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<google::protobuf::Duration> ReadQueueTimeout(const std::string& text) {
  if (text == "none") return google::protobuf::Duration();
  const auto timeout = config::ParseDuration(text);
  if (!timeout.ok()) return UsageError(WithContext(timeout.status(), "--queue-timeout"));
  return rpc::ToProtoDuration(*timeout);
}

Outcome ListApplications(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListApplicationsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->applications(),
                                       &v1::ApplicationService::Stub::ListApplications,
                                       v1::ListApplicationsRequest(), response));
  session.Print(response, RenderApplications);
  return ExitCode::kOk;
}

Outcome ShowApplication(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetApplicationRequest request;
  request.set_name(name);
  v1::Application application;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->applications(), &v1::ApplicationService::Stub::GetApplication, request, application));
  session.Print(application, RenderApplication);
  return ExitCode::kOk;
}

Outcome CreateApplication(Session& session, const CreateApplicationFlags& flags) {
  v1::CreateApplicationRequest request;
  request.set_name(flags.name);
  request.set_repository(flags.repository);
  request.set_description(flags.description);
  SLIPWAY_RETURN_IF_ERROR(ReadLabels(flags.require, session.text, *request.mutable_requirements()));
  if (!flags.queue_timeout.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_queue_timeout(),
                             ReadQueueTimeout(flags.queue_timeout));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Application application;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->applications(),
                                       &v1::ApplicationService::Stub::CreateApplication, request,
                                       application));
  session.Print(application, RenderApplication);
  return ExitCode::kOk;
}

Outcome SetApplication(Session& session, const SetApplicationFlags& flags) {
  v1::UpdateApplicationRequest request;
  request.set_name(flags.name);
  if (flags.description) {
    request.mutable_update_mask()->add_paths("description");
    request.set_description(*flags.description);
  }
  if (flags.repository) {
    request.mutable_update_mask()->add_paths("repository");
    request.set_repository(*flags.repository);
  }
  if (flags.require_nothing || !flags.require.empty()) {
    request.mutable_update_mask()->add_paths("requirements");
    SLIPWAY_RETURN_IF_ERROR(
        ReadLabels(flags.require, session.text, *request.mutable_requirements()));
  }
  if (!flags.queue_timeout.empty()) {
    request.mutable_update_mask()->add_paths("queue_timeout");
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_queue_timeout(),
                             ReadQueueTimeout(flags.queue_timeout));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Application application;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->applications(),
                                       &v1::ApplicationService::Stub::UpdateApplication, request,
                                       application));
  session.Print(application, RenderApplication);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
