#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/cli/client_options.h"
#include "controller/cli/text.h"
#include "slipway/v1/agent_admin.grpc.pb.h"
#include "slipway/v1/agent_images.grpc.pb.h"
#include "slipway/v1/application.grpc.pb.h"
#include "slipway/v1/audit.grpc.pb.h"
#include "slipway/v1/release.grpc.pb.h"
#include "slipway/v1/task.grpc.pb.h"

namespace slipway::cli {

// One channel to the controller and the credentials that every call carries. Every error says that
// it is the controller's (ExitCodeOf). Thread-safe.
class Client {
 public:
  // Reads CA and token; connects with the first call. A usage error names the file. `stop` cancels
  // unary calls.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Client>> Make(const ClientOptions& options,
                                                                    Text text,
                                                                    std::stop_token stop);

  // A unary call: client.Call(client.tasks(), &v1::TaskService::Stub::GetTask, request, response).
  template <typename Stub, typename Request, typename Response>
  [[nodiscard]] absl::Status Call(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, Response& response, int timeout_seconds = 30) const {
    grpc::ClientContext context;
    Prepare(context, timeout_seconds);
    const std::stop_callback cancel(stop_, [&context] { context.TryCancel(); });
    const grpc::Status status = (stub.*method)(&context, request, &response);
    return Outcome(context, status);
  }

  // For streams: adds the token and a deadline (0: none) to a call about to be made.
  void Prepare(grpc::ClientContext& context, int timeout_seconds) const;
  // How a call ended, for people: a controller that does not answer is named with its address.
  [[nodiscard]] absl::Status Outcome(const grpc::ClientContext& context,
                                     const grpc::Status& status) const;

  [[nodiscard]] v1::TaskService::Stub& tasks() const { return *tasks_; }
  [[nodiscard]] v1::ApplicationService::Stub& applications() const { return *applications_; }
  [[nodiscard]] v1::ReleaseService::Stub& releases() const { return *releases_; }
  [[nodiscard]] v1::AgentAdminService::Stub& agents() const { return *agents_; }
  [[nodiscard]] v1::AgentImageService::Stub& agent_images() const { return *agent_images_; }
  [[nodiscard]] v1::AuditService::Stub& audit() const { return *audit_; }
  // Waits before a call is repeated: at most for `duration`, less when the controller has come
  // back. Nobody but a call in progress moves gRPC's connecting on, so sleeping instead would let
  // every attempt to connect time out. False when `stop` was requested. Blocks.
  [[nodiscard]] bool WaitToRetry(const std::stop_token& stop, Duration duration) const;

  [[nodiscard]] const std::stop_token& stop() const { return stop_; }

 private:
  Client(std::string server, const std::string& token, std::shared_ptr<grpc::Channel> channel,
         Text text, std::stop_token stop);

  const std::string server_;
  const std::string authorization_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Text text_;
  const std::stop_token stop_;
  const std::unique_ptr<v1::TaskService::Stub> tasks_;
  const std::unique_ptr<v1::ApplicationService::Stub> applications_;
  const std::unique_ptr<v1::ReleaseService::Stub> releases_;
  const std::unique_ptr<v1::AgentAdminService::Stub> agents_;
  const std::unique_ptr<v1::AgentImageService::Stub> agent_images_;
  const std::unique_ptr<v1::AuditService::Stub> audit_;
};

// True when the same call may work later: the controller is away or starting.
[[nodiscard]] bool IsPassing(const absl::Status& status);

}  // namespace slipway::cli
