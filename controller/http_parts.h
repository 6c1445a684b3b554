#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "controller/gateway/http_server.h"
#include "controller/metrics/registry.h"
#include "controller/options.h"
#include "controller/scheduler/scheduler.h"
#include "controller/work/work_pool.h"

namespace slipway::controller {

// Whether the controller can serve, for /readyz: its scheduler turns and its database answers. Asks
// the database at most once a second, however many ask this. Must outlive its callbacks.
// Thread-safe.
class ReadyCheck {
 public:
  struct Deps {
    std::function<Duration()> idle_for;
    std::function<absl::Status()> ask_database;  // may block
    work::WorkPool& pool;
    const Clock& clock;
  };
  explicit ReadyCheck(Deps deps) : deps_(std::move(deps)) {}

  // From this thread or the pool's, once.
  void Ask(std::function<void(const absl::Status&)> answer);

 private:
  void Look();

  const Deps deps_;
  std::mutex mu_;
  bool looking_ = false;
  std::optional<MonoTime> known_at_;
  absl::Status known_;
  std::vector<std::function<void(const absl::Status&)>> waiting_;
};

// Reads http_certificate and http_key. kInvalidArgument, BAD_HTTP_CERTIFICATE.
[[nodiscard]] absl::StatusOr<crypto::KeyAndCertificate> ReadHttpCertificate(const Options& options);

// The port as the options have it. `own`: the certificate that gRPC is served with.
[[nodiscard]] absl::StatusOr<std::unique_ptr<gateway::HttpServer>> StartHttp(
    const Options& options, std::vector<std::string> services, gateway::HttpServer::Deps deps,
    const crypto::KeyAndCertificate& own);

// Version, process, agents and tasks. What is returned must die before the scheduler.
[[nodiscard]] std::vector<std::shared_ptr<void>> AddControllerMetrics(
    metrics::Registry& registry, const scheduler::Scheduler& scheduler, const std::string& version);

}  // namespace slipway::controller
