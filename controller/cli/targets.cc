#include <fmt/format.h>
#include <sys/prctl.h>

#include <tuple>
#include <utility>

#include "common/base/ids.h"
#include "common/config/units.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/catalog_commands.h"
#include "controller/cli/secret_files.h"
#include "controller/domain/channel.h"

namespace slipway::cli {
namespace {

using Stub = v1::CatalogService::Stub;

// The platform and the name.
std::pair<std::string, std::string> Split(const std::string& name) {
  const auto slash = name.find('/');
  if (slash == std::string::npos) return {name, name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

absl::StatusOr<v1::Target> Read(const Client& client, const std::string& name) {
  v1::GetTargetRequest request;
  std::tie(*request.mutable_platform(), *request.mutable_name()) = Split(name);
  v1::Target target;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.catalog(), &Stub::GetTarget, request, target));
  return target;
}

absl::StatusOr<v1::Environment> ReadEnvironment(const Client& client, const std::string& name) {
  v1::GetEnvironmentRequest request;
  request.set_name(name);
  v1::Environment environment;
  SLIPWAY_RETURN_IF_ERROR(
      client.Call(client.catalog(), &Stub::GetEnvironment, request, environment));
  return environment;
}

bool IsChannel(const v1::Target& target) { return domain::IsChannelPlatform(target.platform()); }

void Replace(const std::vector<std::string>& with,
             google::protobuf::RepeatedPtrField<std::string>& texts) {
  if (!with.empty()) texts.Assign(with.begin(), with.end());
}

absl::Status TakeChannel(const TargetFlags& flags, v1::Channel& channel) {
  if (flags.server) channel.set_url(*flags.server);
  if (flags.url) channel.set_url(*flags.url);
  if (flags.user) channel.set_user(*flags.user);
  if (flags.from) channel.set_from(*flags.from);
  Replace(flags.to, *channel.mutable_to());
  Replace(flags.may_reach, *channel.mutable_may_reach());
  if (flags.language) channel.set_language(*flags.language);
  if (flags.plain) channel.set_plain(true);
  if (!flags.attach_up_to.empty()) {
    const auto size = config::ParseSize(flags.attach_up_to);
    if (!size.ok()) return UsageError(WithContext(size.status(), "--attach-up-to"));
    channel.set_attach_up_to(*size);
  }
  if (!flags.valid_for.empty()) {
    const auto span = config::ParseDuration(flags.valid_for);
    if (!span.ok()) return UsageError(WithContext(span.status(), "--valid-for"));
    *channel.mutable_valid_for() = rpc::ToProtoDuration(*span);
  }
  channel.clear_has_secret();
  return absl::OkStatus();
}

absl::Status Take(const TargetFlags& flags, Text text, v1::Target& target) {
  if (IsChannel(target)) {
    SLIPWAY_RETURN_IF_ERROR(TakeChannel(flags, *target.mutable_channel()));
  } else if (flags.server || flags.url || flags.from || flags.user || !flags.to.empty() ||
             !flags.may_reach.empty() || flags.language || flags.plain ||
             !flags.attach_up_to.empty() || !flags.valid_for.empty()) {
    // The controller says why not.
    SLIPWAY_RETURN_IF_ERROR(TakeChannel(flags, *target.mutable_channel()));
  }
  if (flags.environment) target.set_environment(*flags.environment);
  if (flags.image) target.set_image(*flags.image);
  if (flags.network) target.set_network(*flags.network);
  if (flags.proxy) target.set_proxy(*flags.proxy);
  if (flags.ca_file) {
    target.clear_ca_pem();
    if (!flags.ca_file->empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(
          *target.mutable_ca_pem(),
          ReadSmallFile(*flags.ca_file, text("the CA certificates", "CA 证书"), text));
    }
  }
  if (!flags.deadline.empty()) {
    const auto deadline = config::ParseDuration(flags.deadline);
    if (!deadline.ok()) return UsageError(WithContext(deadline.status(), "--deadline"));
    *target.mutable_deadline() = rpc::ToProtoDuration(*deadline);
  }
  if (flags.require_nothing || !flags.require.empty()) {
    target.clear_requirements();
    SLIPWAY_RETURN_IF_ERROR(ReadLabels(flags.require, text, *target.mutable_requirements()));
  }
  return absl::OkStatus();
}

void Take(const EnvironmentFlags& flags, v1::Environment& environment) {
  if (flags.description) environment.set_description(*flags.description);
  if (flags.order) environment.set_order(*flags.order);
}

std::string Deleted(Text text, const std::string& name) {
  return fmt::format(fmt::runtime(text("deleted {}\n", "已删除 {}\n")), name);
}

}  // namespace

Outcome ListTargets(Session& session, const std::string& platform) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListTargetsRequest request;
  request.set_platform(platform);
  v1::ListTargetsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->catalog(), &Stub::ListTargets, request, response));
  session.Print(response, RenderTargets);
  return ExitCode::kOk;
}

Outcome ShowTarget(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  SLIPWAY_ASSIGN_OR_RETURN(const v1::Target target, Read(*client, name));
  session.Print(target, RenderTarget);
  return ExitCode::kOk;
}

Outcome CreateTarget(Session& session, const TargetFlags& flags) {
  v1::CreateTargetRequest request;
  v1::Target& target = *request.mutable_target();
  std::tie(*target.mutable_platform(), *target.mutable_name()) = Split(flags.name);
  SLIPWAY_RETURN_IF_ERROR(Take(flags, session.text, target));
  request.set_request_id(NewUuid());
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Target made;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->catalog(), &Stub::CreateTarget, request, made));
  session.Print(made, RenderTarget);
  return ExitCode::kOk;
}

Outcome SetTarget(Session& session, const TargetFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::UpdateTargetRequest request;
  // With its etag: what somebody else changes meanwhile is not lost.
  SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_target(), Read(*client, flags.name));
  SLIPWAY_RETURN_IF_ERROR(Take(flags, session.text, *request.mutable_target()));
  v1::Target changed;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->catalog(), &Stub::UpdateTarget, request, changed));
  session.Print(changed, RenderTarget);
  return ExitCode::kOk;
}

Outcome DeleteTarget(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::DeleteTargetRequest request;
  std::tie(*request.mutable_platform(), *request.mutable_name()) = Split(name);
  v1::DeleteTargetResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->catalog(), &Stub::DeleteTarget, request, response));
  session.PrintDone(response, Deleted(session.text, request.platform() + "/" + request.name()));
  return ExitCode::kOk;
}

Outcome SetTargetSecret(Session& session, const TargetSecretFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  if (flags.none == !flags.secret_file.empty()) {
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                  t("one of --secret-file and --none", "--secret-file 与 --none 二者选一")));
  }
  v1::SetTargetSecretRequest request;
  std::tie(*request.mutable_platform(), *request.mutable_name()) = Split(flags.name);
  if (!flags.none) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto secret, ReadPassword(session, flags.secret_file));
    request.set_secret(std::string(secret.view()));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Target changed;
  const absl::Status status =
      client->Call(client->catalog(), &Stub::SetTargetSecret, request, changed);
  crypto::Wipe(request.mutable_secret()->data(), request.secret().size());
  SLIPWAY_RETURN_IF_ERROR(status);
  session.Print(changed, RenderTarget);
  return ExitCode::kOk;
}

Outcome ListEnvironments(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListEnvironmentsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->catalog(), &Stub::ListEnvironments,
                                       v1::ListEnvironmentsRequest(), response));
  session.Print(response, RenderEnvironments);
  return ExitCode::kOk;
}

Outcome ShowEnvironment(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  SLIPWAY_ASSIGN_OR_RETURN(const v1::Environment environment, ReadEnvironment(*client, name));
  session.Print(environment, RenderEnvironment);
  return ExitCode::kOk;
}

Outcome CreateEnvironment(Session& session, const EnvironmentFlags& flags) {
  v1::CreateEnvironmentRequest request;
  request.mutable_environment()->set_name(flags.name);
  Take(flags, *request.mutable_environment());
  request.set_request_id(NewUuid());
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Environment made;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->catalog(), &Stub::CreateEnvironment, request, made));
  session.Print(made, RenderEnvironment);
  return ExitCode::kOk;
}

Outcome SetEnvironment(Session& session, const EnvironmentFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::UpdateEnvironmentRequest request;
  SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_environment(), ReadEnvironment(*client, flags.name));
  Take(flags, *request.mutable_environment());
  v1::Environment changed;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->catalog(), &Stub::UpdateEnvironment, request, changed));
  session.Print(changed, RenderEnvironment);
  return ExitCode::kOk;
}

Outcome DeleteEnvironment(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::DeleteEnvironmentRequest request;
  request.set_name(name);
  v1::DeleteEnvironmentResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->catalog(), &Stub::DeleteEnvironment, request, response));
  session.PrintDone(response, Deleted(session.text, name));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
