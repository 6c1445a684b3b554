#include "agent/executor/docker/docker_engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "agent/executor/docker/docker_json.h"
#include "agent/executor/docker/image_files.h"
#include "agent/executor/docker/unix_http.h"
#include "agent/executor/engine_errors.h"
#include "agent/executor/labels.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::docker {
namespace {

using namespace std::chrono_literals;
using executor::ContainerId;
using executor::ContainerSpec;
using executor::ContainerState;
using executor::EngineInfo;
using executor::NetworkKind;

// Minor numbers of API version 1. 41 is that of Engine 20.10; the Engine may be newer than the
// newest we know, and speaks older versions then.
constexpr int kOldestMinor = 41;
constexpr int kNewestMinor = 47;
// From the Engine's refusal of a second network until it shows the first.
constexpr Duration kRivalNetworkPatience = std::chrono::seconds(2);
constexpr Duration kRivalNetworkPause = std::chrono::milliseconds(50);

MonoTime After(Duration timeout) {
  return SystemClock().Mono() + std::min<Duration>(timeout, 24h * 365);
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

std::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet: return "GET";
    case Method::kPost: return "POST";
    case Method::kDelete: return "DELETE";
  }
  return "";
}

// -1: not "1.N".
int MinorOf(std::string_view api_version) {
  int minor = -1;
  if (api_version.starts_with("1."))
    std::from_chars(api_version.data() + 2, api_version.data() + api_version.size(), minor);
  return minor;
}

// An answer that says no, in the Engine's own words.
absl::Status Refusal(std::string_view action, const HttpResponse& response,
                     std::string_view reason = "") {
  const auto code = [&] {
    switch (response.status) {
      case 400: return absl::StatusCode::kInvalidArgument;
      case 401:
      case 403: return absl::StatusCode::kPermissionDenied;
      case 404: return absl::StatusCode::kNotFound;
      case 409: return absl::StatusCode::kAborted;
      case 503: return absl::StatusCode::kUnavailable;
      default: return absl::StatusCode::kInternal;
    }
  }();
  return MakeError(
      code, reason,
      fmt::format("docker {}: {} (HTTP {})", action, ErrorWords(response.body), response.status));
}

// "registry:5000/name:tag" as ("registry:5000/name", "tag"); a digest is a tag to the Engine.
// Without a tag the Engine would fetch every one.
std::pair<std::string, std::string> SplitReference(const std::string& name) {
  if (const std::size_t at = name.find('@'); at != std::string::npos) {
    return {name.substr(0, at), name.substr(at + 1)};
  }
  const std::size_t colon = name.rfind(':');
  const std::size_t slash = name.rfind('/');
  if (colon == std::string::npos || (slash != std::string::npos && colon < slash)) {
    return {name, "latest"};
  }
  return {name.substr(0, colon), name.substr(colon + 1)};
}

// The Engine tells apart neither by code nor by structure what a registry said.
absl::Status PullRefusal(const std::string& name, const std::string& words, int http_status) {
  for (const char* missing : {"not found", "manifest unknown", "does not exist", "denied",
                              "no matching manifest", "unauthorized", "invalid reference"}) {
    if (words.find(missing) != std::string::npos) return executor::ImageMissingError(name, words);
  }
  if (http_status == 404) return executor::ImageMissingError(name, words);
  return executor::RegistryUnreachableError(name, words);
}

bool Succeeded(const HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

// Gone with this.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) { unlink(path_.c_str()); }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class DockerEngine final : public executor::ContainerEngine {
 public:
  DockerEngine(DockerOptions options, std::string socket_path)
      : options_(std::move(options)),
        http_(std::move(socket_path), options_.max_response_bytes, options_.max_idle_connections) {}

  absl::StatusOr<EngineInfo> Ping(Duration timeout) override {
    const MonoTime deadline = After(timeout);
    SLIPWAY_ASSIGN_OR_RETURN(const int minor, Negotiate(deadline));
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             Call(Method::kGet, "/info", "", deadline));
    if (!Succeeded(response)) return Refusal("info", response);
    SLIPWAY_ASSIGN_OR_RETURN(EngineInfo info, ParseEngineInfo(response.body));
    info.api_version = fmt::format("1.{}", minor);
    return info;
  }

  absl::StatusOr<executor::ImageInfo> InspectImage(const std::string& name,
                                                   Duration timeout) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             Call(Method::kGet, "/images/" + name + "/json", "", After(timeout)));
    if (response.status == 404) return executor::ImageMissingError(name, ErrorWords(response.body));
    if (!Succeeded(response)) return Refusal("image inspect", response);
    return ParseImage(response.body);
  }

  absl::Status PullImage(const std::string& name, Duration timeout,
                         const std::stop_token& stop) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
    const MonoTime deadline = After(timeout);
    const auto [image, tag] = SplitReference(name);
    std::string target =
        fmt::format("/images/create?fromImage={}&tag={}", PercentEncode(image), PercentEncode(tag));
    // Its end is what counts: the Engine has said 200 long before it knows.
    PullProgress progress;
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Stream({.method = Method::kPost, .target = std::move(target), .json = ""}, deadline, stop,
               [&](std::string_view piece) { progress.Add(piece); }));
    const std::string words = progress.TakeError();
    if (Succeeded(response) && words.empty()) return absl::OkStatus();
    return PullRefusal(name, words, response.status);
  }

  absl::Status RemoveImage(const std::string& name, Duration timeout) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             Call(Method::kDelete, "/images/" + name, "", After(timeout)));
    if (Succeeded(response) || response.status == 404) return absl::OkStatus();
    if (response.status == 409) return executor::ImageInUseError(name, ErrorWords(response.body));
    return Refusal("rmi", response);
  }

  absl::Status CommitImage(const ContainerId& id, const std::string& name,
                           const executor::Labels& labels, Duration timeout) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(id.value()));
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
    const auto [repository, tag] = SplitReference(name);
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             Call(Method::kPost,
                                  fmt::format("/commit?container={}&repo={}&tag={}", id.value(),
                                              PercentEncode(repository), PercentEncode(tag)),
                                  CommitBody(labels), After(timeout)));
    if (Succeeded(response)) return absl::OkStatus();
    return Refusal("commit", response);
  }

  absl::Status SaveLayer(const std::string& name, const std::string& dir, Duration timeout,
                         const std::stop_token& stop) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
    const TemporaryFile tar(dir + ".tar");
    SLIPWAY_RETURN_IF_ERROR(Save(name, tar.path(), After(timeout), stop));
    return CutToLastLayer(tar.path(), dir);
  }

  absl::Status LoadLayer(const std::string& dir, const std::string& name, Duration timeout,
                         const std::stop_token& stop) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateImageName(name));
    const TemporaryFile tar(dir + ".tar");
    SLIPWAY_RETURN_IF_ERROR(PackForLoad(dir, name, tar.path()));
    PullProgress progress;
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Stream({.method = Method::kPost,
                .target = "/images/load?quiet=1",
                .json = "",
                .tar_file = tar.path()},
               After(timeout), stop, [&](std::string_view piece) { progress.Add(piece); }));
    const std::string words = progress.TakeError();
    if (Succeeded(response) && words.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("docker load: {} (HTTP {})", words, response.status));
  }

  absl::StatusOr<std::vector<std::string>> ListReplacedImages(const std::string& key,
                                                              Duration timeout) override {
    const std::string filters = ReplacedImagesFilter(key);
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Call(Method::kGet, "/images/json?filters=" + PercentEncode(filters), "", After(timeout)));
    if (!Succeeded(response)) return Refusal("images", response);
    return ParseImageIds(response.body);
  }

  std::uint64_t TimesLost() const override { return http_.times_lost(); }

  absl::StatusOr<executor::NetworkInfo> EnsureNetwork(const executor::NetworkSpec& spec,
                                                      Duration timeout) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(spec.name));
    const MonoTime deadline = After(timeout);
    absl::StatusOr<executor::NetworkInfo> network = FindNetwork(spec, deadline);
    if (!absl::IsNotFound(network.status())) return network;
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response, Call(Method::kPost, "/networks/create",
                                                               CreateNetworkBody(spec), deadline));
    if (Succeeded(response)) return FindNetwork(spec, deadline);
    // Another agent of this machine may be faster. 409: its network is there. 403, with a subnet of
    // the operator's: the Engine has given it away, and shows the network a moment later.
    const MonoTime patience = std::min(deadline, After(kRivalNetworkPatience));
    while (true) {
      network = FindNetwork(spec, deadline);
      if (!absl::IsNotFound(network.status())) return network;
      if ((response.status != 409 && response.status != 403) || clock_.Mono() >= patience)
        return Refusal("network create", response);
      std::this_thread::sleep_for(kRivalNetworkPause);
    }
  }

  absl::StatusOr<executor::CreatedContainer> Create(const ContainerSpec& spec,
                                                    Duration timeout) override {
    SLIPWAY_RETURN_IF_ERROR(executor::Validate(spec));
    if (spec.network.kind == NetworkKind::kHost && !options_.allow_host_network)
      return executor::HostNetworkRefusedError(spec.name);
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Call(Method::kPost, "/containers/create?name=" + PercentEncode(spec.name),
             CreateContainerBody(spec, options_.engine_path_map), After(timeout)));
    if (response.status == 404)
      return executor::ImageMissingError(spec.image, ErrorWords(response.body));
    if (response.status == 409)
      return executor::NameTakenError("docker create: " + ErrorWords(response.body));
    if (!Succeeded(response)) return Refusal("create", response);
    return ParseCreated(response.body);
  }

  absl::Status Start(const ContainerId& id, Duration timeout) override {
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             OnContainer(Method::kPost, id, "/start", After(timeout)));
    constexpr int kRunsAlready = 304;
    if (Succeeded(response) || response.status == kRunsAlready) return absl::OkStatus();
    if (response.status == 404 &&
        ErrorWords(response.body).find("No such container") != std::string::npos)
      return Refusal("start", response);
    // Any other 404 or 409 is about what it needs, a network that is gone, say: it is there itself.
    const absl::Status refusal = Refusal("start", response);
    return MakeError(absl::IsInvalidArgument(refusal) ? absl::StatusCode::kInvalidArgument
                                                      : absl::StatusCode::kInternal,
                     "CONTAINER_START_FAILED", std::string(refusal.message()));
  }

  absl::StatusOr<ContainerState> Inspect(const ContainerId& id, Duration timeout) override {
    return InspectUntil(id, After(timeout));
  }

  absl::StatusOr<ContainerState> Wait(const ContainerId& id, Duration timeout) override {
    const MonoTime deadline = After(timeout);
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        OnContainer(Method::kPost, id, "/wait?condition=not-running", deadline));
    if (!Succeeded(response)) return Refusal("wait", response);
    // An end that came in time is told, even if only just.
    return InspectUntil(id, std::max(deadline, After(5s)));
  }

  absl::Status Rename(const ContainerId& id, const std::string& name, Duration timeout) override {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(name));
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        OnContainer(Method::kPost, id, "/rename?name=" + PercentEncode(name), After(timeout)));
    if (Succeeded(response)) return absl::OkStatus();
    return response.status == 409
               ? executor::NameTakenError("docker rename: " + ErrorWords(response.body))
               : Refusal("rename", response);
  }

  absl::Status Kill(const ContainerId& id, int signal, Duration timeout) override {
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        OnContainer(Method::kPost, id, fmt::format("/kill?signal={}", signal), After(timeout)));
    if (Succeeded(response)) return absl::OkStatus();
    return Refusal("kill", response, response.status == 409 ? "CONTAINER_NOT_RUNNING" : "");
  }

  absl::Status Remove(const ContainerId& id, bool force, Duration timeout) override {
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        OnContainer(Method::kDelete, id, fmt::format("?v=1&force={:d}", force), After(timeout)));
    if (Succeeded(response) || response.status == 404) return absl::OkStatus();
    return Refusal("rm", response);
  }

  absl::StatusOr<std::vector<executor::ContainerSummary>> List(const executor::Labels& labels,
                                                               Duration timeout) override {
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Call(Method::kGet, "/containers/json?all=1&filters=" + PercentEncode(LabelFilter(labels)),
             "", After(timeout)));
    if (!Succeeded(response)) return Refusal("ps", response);
    return ParseContainerList(response.body);
  }

  absl::StatusOr<std::string> LogTail(const ContainerId& id, Duration timeout) override {
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        OnContainer(Method::kGet, id, "/logs?stdout=1&stderr=1&tail=2000", After(timeout)));
    if (!Succeeded(response)) return Refusal("logs", response);
    return DemultiplexLog(response.body, kMaxLogBytes);
  }

 private:
  // A request without the version in its path, with a long answer.
  absl::StatusOr<HttpResponse> Stream(HttpRequest request, MonoTime deadline,
                                      const std::stop_token& stop,
                                      const std::function<void(std::string_view)>& on_body) {
    SLIPWAY_ASSIGN_OR_RETURN(const int minor, Minor(deadline));
    request.target = fmt::format("/v1.{}{}", minor, request.target);
    return http_.SendAndStream(request, deadline, stop, on_body);
  }

  absl::Status Save(const std::string& name, const std::string& path, MonoTime deadline,
                    const std::stop_token& stop) {
    const fs::UniqueFd file(
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return ErrnoError(errno, path);
    absl::Status written;
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Stream({.method = Method::kGet, .target = "/images/" + name + "/get", .json = ""}, deadline,
               stop, [&](std::string_view piece) {
                 if (written.ok()) written = fs::WriteAll(file.get(), piece, path);
               }));
    if (response.status == 404) return executor::ImageMissingError(name, "No such image: " + name);
    if (!Succeeded(response)) return Refusal("save", response);
    return written;
  }

  // The minor number to speak, asked of the Engine that answers now.
  absl::StatusOr<int> Negotiate(MonoTime deadline) {
    SLIPWAY_ASSIGN_OR_RETURN(
        const HttpResponse response,
        http_.Send({.method = Method::kGet, .target = "/_ping", .json = ""}, deadline));
    if (!Succeeded(response)) return Refusal("ping", response);
    const int offered = MinorOf(response.api_version);
    if (offered < 0) return executor::EngineAnswerInvalidError("GET /_ping", "no Api-Version");
    if (offered < kOldestMinor)
      return MakeError(absl::StatusCode::kFailedPrecondition, "ENGINE_TOO_OLD",
                       fmt::format("the Docker Engine speaks API {} only", response.api_version),
                       "install Docker Engine 20.10 or newer");
    const std::lock_guard lock(mu_);
    minor_ = std::min(offered, kNewestMinor);
    return minor_;
  }

  // As negotiated, now if not earlier.
  absl::StatusOr<int> Minor(MonoTime deadline) {
    {
      const std::lock_guard lock(mu_);
      if (minor_ != 0) return minor_;
    }
    return Negotiate(deadline);
  }

  absl::StatusOr<HttpResponse> Call(Method method, const std::string& path, std::string body,
                                    MonoTime deadline) {
    SLIPWAY_ASSIGN_OR_RETURN(const int minor, Minor(deadline));
    const MonoTime begin = clock_.Mono();
    auto response = http_.Send(
        {.method = method, .target = fmt::format("/v1.{}{}", minor, path), .json = std::move(body)},
        deadline);
    // What an attempt costs beyond this is the agent's own; tests/bench takes it from here.
    const std::chrono::duration<double, std::milli> took = clock_.Mono() - begin;
    log::Log(log::Level::kDebug, "engine_call",
             {{"call", fmt::format("{} {}", MethodName(method), path)},
              {"answer", response.ok() ? fmt::to_string(response->status) : "none"},
              {"ms", fmt::format("{:.3f}", took.count())}});
    return response;
  }

  absl::StatusOr<HttpResponse> OnContainer(Method method, const ContainerId& id,
                                           std::string_view rest, MonoTime deadline) {
    SLIPWAY_RETURN_IF_ERROR(executor::ValidateResourceName(id.value()));
    return Call(method, fmt::format("/containers/{}{}", id.value(), rest), "", deadline);
  }

  absl::StatusOr<ContainerState> InspectUntil(const ContainerId& id, MonoTime deadline) {
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             OnContainer(Method::kGet, id, "/json", deadline));
    if (!Succeeded(response)) return Refusal("inspect", response);
    return ParseContainerState(response.body);
  }

  // kNotFound: no network has that name. NETWORK_NOT_OURS: see EnsureNetwork.
  absl::StatusOr<executor::NetworkInfo> FindNetwork(const executor::NetworkSpec& spec,
                                                    MonoTime deadline) {
    SLIPWAY_ASSIGN_OR_RETURN(const HttpResponse response,
                             Call(Method::kGet, "/networks/" + spec.name, "", deadline));
    if (!Succeeded(response)) return Refusal("network inspect", response);
    SLIPWAY_ASSIGN_OR_RETURN(const NetworkDescription network, ParseNetwork(response.body));
    // The Engine takes the start of an id for a name, too.
    if (network.name != spec.name) return absl::NotFoundError("no network " + spec.name);
    const auto farm = network.labels.find(executor::kLabelFarm);
    if (farm == network.labels.end() || farm->second != spec.farm || network.driver != "bridge" ||
        network.containers_may_talk)
      return executor::NetworkNotOursError(spec.name);
    return network.info;
  }

  const DockerOptions options_;
  const SystemClock clock_;

  // Own synchronisation.
  UnixHttpClient http_;

  std::mutex mu_;
  // 0: not negotiated yet. Guarded by mu_.
  int minor_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<executor::ContainerEngine>> MakeDockerEngine(DockerOptions options) {
  constexpr std::string_view kScheme = "unix://";
  std::string path = options.socket;
  if (path.starts_with(kScheme)) path.erase(0, kScheme.size());
  if (!path.starts_with('/') || path.size() >= sizeof(sockaddr_un::sun_path))
    return MakeError(
        absl::StatusCode::kInvalidArgument, "",
        fmt::format("docker.socket \"{}\" is not the path of a Unix socket", options.socket),
        "give an absolute path of fewer than 108 bytes, with or without unix://");
  return std::make_unique<DockerEngine>(std::move(options), std::move(path));
}

}  // namespace slipway::docker
