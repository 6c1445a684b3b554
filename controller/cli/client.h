#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/status/status.h"
#include "controller/cli/client_options.h"
#include "controller/cli/text.h"
#include "controller/cli/token_source.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/agent_admin.grpc.pb.h"
#include "slipway/v1/agent_images.grpc.pb.h"
#include "slipway/v1/application.grpc.pb.h"
#include "slipway/v1/audit.grpc.pb.h"
#include "slipway/v1/catalog.grpc.pb.h"
#include "slipway/v1/overview.grpc.pb.h"
#include "slipway/v1/release.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "slipway/v1/task.grpc.pb.h"

namespace slipway::cli {

// One channel to the controller and the credentials that every call carries. Every error says that
// it is the controller's (ExitCodeOf). Thread-safe.
class Client {
 public:
  // Connects with the first call. `stop` cancels unary calls.
  [[nodiscard]] static std::unique_ptr<Client> Make(const Access& access, Text text,
                                                    std::stop_token stop);
  // For what needs no token: its calls carry none.
  [[nodiscard]] static std::unique_ptr<Client> MakeWithoutToken(const std::string& server,
                                                                const std::string& ca_pem,
                                                                Text text, std::stop_token stop);

  // A unary call: client.Call(client.tasks(), &v1::TaskService::Stub::GetTask, request, response).
  template <typename Stub, typename Request, typename Response>
  [[nodiscard]] absl::Status Call(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, Response& response, int timeout_seconds = 30) const {
    const auto call = [&]() -> absl::Status {
      grpc::ClientContext context;
      SLIPWAY_RETURN_IF_ERROR(Authorize(context));
      SetDeadline(context, timeout_seconds);
      const std::stop_callback cancel(stop_, [&context] { context.TryCancel(); });
      const grpc::Status status = (stub.*method)(&context, request, &response);
      return Outcome(context, status);
    };
    const absl::Status status = call();
    return RenewToken(status) ? call() : status;
  }

  // For streams: adds the token, when there is one, and a deadline (0: none) to a call about to be
  // made.
  void Prepare(grpc::ClientContext& context, int timeout_seconds) const;
  // How a call ended, for people: a controller that does not answer is named with its address.
  [[nodiscard]] absl::Status Outcome(const grpc::ClientContext& context,
                                     const grpc::Status& status) const;
  // True when a call that ended with `status` was refused for its token and may be made again, as
  // there is another one now.
  [[nodiscard]] bool RenewToken(const absl::Status& status) const;

  [[nodiscard]] v1::SessionService::Stub& sessions() const { return *sessions_; }
  [[nodiscard]] v1::AccountService::Stub& accounts() const { return *accounts_; }
  [[nodiscard]] v1::TaskService::Stub& tasks() const { return *tasks_; }
  [[nodiscard]] v1::ApplicationService::Stub& applications() const { return *applications_; }
  [[nodiscard]] v1::CatalogService::Stub& catalog() const { return *catalog_; }
  [[nodiscard]] v1::ReleaseService::Stub& releases() const { return *releases_; }
  [[nodiscard]] v1::AgentAdminService::Stub& agents() const { return *agents_; }
  [[nodiscard]] v1::AgentImageService::Stub& agent_images() const { return *agent_images_; }
  [[nodiscard]] v1::AuditService::Stub& audit() const { return *audit_; }
  [[nodiscard]] v1::OverviewService::Stub& overviews() const { return *overviews_; }
  // Waits before a call is repeated: at most for `duration`, less when the controller has come
  // back. Nobody but a call in progress moves gRPC's connecting on, so sleeping instead would let
  // every attempt to connect time out. False when `stop` was requested. Blocks.
  [[nodiscard]] bool WaitToRetry(const std::stop_token& stop, Duration duration) const;

  [[nodiscard]] const std::stop_token& stop() const { return stop_; }

 private:
  Client(std::string server, std::shared_ptr<grpc::Channel> channel, std::string context,
         std::unique_ptr<TokenSource> tokens, Text text, std::stop_token stop);

  [[nodiscard]] absl::Status Authorize(grpc::ClientContext& context) const;
  static void SetDeadline(grpc::ClientContext& context, int timeout_seconds);
  // What a call for people says, whoever made it.
  [[nodiscard]] static absl::Status Explain(const grpc::ClientContext& context,
                                            const grpc::Status& status, const std::string& server,
                                            Text text, const std::stop_token& stop);
  static bool WaitForChannel(grpc::Channel& channel, const std::stop_token& stop,
                             Duration duration);

  const std::string server_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string context_;                  // whose login or token it is; empty: of none
  const std::unique_ptr<TokenSource> tokens_;  // null: calls carry none
  const Text text_;
  const std::stop_token stop_;
  const std::unique_ptr<v1::SessionService::Stub> sessions_;
  const std::unique_ptr<v1::AccountService::Stub> accounts_;
  const std::unique_ptr<v1::TaskService::Stub> tasks_;
  const std::unique_ptr<v1::ApplicationService::Stub> applications_;
  const std::unique_ptr<v1::ReleaseService::Stub> releases_;
  const std::unique_ptr<v1::AgentAdminService::Stub> agents_;
  const std::unique_ptr<v1::AgentImageService::Stub> agent_images_;
  const std::unique_ptr<v1::AuditService::Stub> audit_;
  const std::unique_ptr<v1::CatalogService::Stub> catalog_;
  const std::unique_ptr<v1::OverviewService::Stub> overviews_;
};

// True when the same call may work later: the controller is away or starting.
[[nodiscard]] bool IsPassing(const absl::Status& status);

}  // namespace slipway::cli
