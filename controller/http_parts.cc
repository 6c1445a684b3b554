#include "controller/http_parts.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/status/status.h"

namespace slipway::controller {
namespace {

// Of an answer about the database.
constexpr auto kFresh = std::chrono::seconds(1);
// The scheduler's thread rests for some seconds; a statement may hold it for longer.
constexpr auto kLongestTurn = std::chrono::seconds(15);

absl::StatusOr<std::string> ReadPem(const std::string& path, const char* key) {
  std::error_code unreadable;
  std::string text;
  // Reading a directory as a stream throws.
  if (std::filesystem::is_regular_file(path, unreadable)) {
    std::ifstream in(path, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (text.find("-----BEGIN ") != std::string::npos) return text;
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_HTTP_CERTIFICATE",
      fmt::format("{}: '{}' cannot be read or holds no PEM", key, path),
      "Give a PEM file with the certificate and those up to its CA, and one with its key.");
}

}  // namespace

void ReadyCheck::Ask(std::function<void(const absl::Status&)> answer) {
  if (deps_.idle_for() > kLongestTurn) {
    return answer(absl::UnavailableError("the scheduler does not turn"));
  }
  std::unique_lock lock(mu_);
  if (known_at_ && deps_.clock.Mono() - *known_at_ < kFresh) {
    const absl::Status known = known_;
    lock.unlock();
    return answer(known);
  }
  waiting_.push_back(std::move(answer));
  if (std::exchange(looking_, true)) return;
  lock.unlock();
  deps_.pool.Post([this] { Look(); });
}

void ReadyCheck::Look() {
  const absl::Status status = deps_.ask_database();
  std::vector<std::function<void(const absl::Status&)>> waiting;
  {
    const std::lock_guard lock(mu_);
    looking_ = false;
    known_at_ = deps_.clock.Mono();
    known_ = status;
    waiting.swap(waiting_);
  }
  for (const auto& answer : waiting) answer(status);
}

absl::StatusOr<crypto::KeyAndCertificate> ReadHttpCertificate(const Options& options) {
  SLIPWAY_ASSIGN_OR_RETURN(auto certificate, ReadPem(options.http_certificate, "http_certificate"));
  SLIPWAY_ASSIGN_OR_RETURN(auto key, ReadPem(options.http_key, "http_key"));
  crypto::KeyAndCertificate given;
  given.certificate_pem = std::move(certificate);
  given.key_pem = crypto::SecretBytes::CopyOf(key);
  crypto::Wipe(key.data(), key.size());
  return given;
}

absl::StatusOr<std::unique_ptr<gateway::HttpServer>> StartHttp(
    const Options& options, std::vector<std::string> services, gateway::HttpServer::Deps deps,
    const crypto::KeyAndCertificate& own) {
  gateway::HttpOptions http;
  http.listen = options.http_listen;
  http.allow_plain = options.http_allow_plain;
  http.origins = options.http_origins;
  http.services = std::move(services);
  http.limits.max_connections = options.http_max_connections;
  http.limits.max_streams = options.http_max_streams;
  const crypto::KeyAndCertificate* tls = nullptr;
  crypto::KeyAndCertificate given;
  if (options.http_tls == Options::HttpTls::kOwn) tls = &own;
  if (options.http_tls == Options::HttpTls::kGiven) {
    SLIPWAY_ASSIGN_OR_RETURN(given, ReadHttpCertificate(options));
    tls = &given;
  }
  return gateway::HttpServer::Start(std::move(http), std::move(deps), tls);
}

std::vector<std::shared_ptr<void>> AddControllerMetrics(metrics::Registry& registry,
                                                        const scheduler::Scheduler& scheduler,
                                                        const std::string& version) {
  using metrics::Kind;
  using Samples = std::vector<metrics::Sample>;
  auto handles = metrics::AddProcess(registry);
  handles.push_back(registry.AddSampled("slipway_build_info", "Always 1; the version is a label.",
                                        Kind::kGauge, [version] {
                                          return Samples{{{{"version", version}}, 1}};
                                        }));
  const auto add = [&](const char* name, const char* help, auto pick) {
    handles.push_back(registry.AddSampled(name, help, Kind::kGauge, [&scheduler, pick] {
      return Samples{{{}, static_cast<double>(pick(scheduler.CurrentLoad()))}};
    }));
  };
  using Load = scheduler::Scheduler::Load;
  add("slipway_agents_connected", "Agents with an open stream.",
      [](const Load& load) { return load.agents; });
  add("slipway_agent_slots", "Attempts that the connected agents can run at once.",
      [](const Load& load) { return load.slots; });
  add("slipway_tasks_unfinished", "Tasks that have not ended, those that wait for others included.",
      [](const Load& load) { return load.unfinished; });
  add("slipway_tasks_queued", "Tasks that wait for nothing but an agent.",
      [](const Load& load) { return load.queued; });
  add("slipway_tasks_running", "Tasks at an agent, or offered to one.",
      [](const Load& load) { return load.held; });
  return handles;
}

}  // namespace slipway::controller
