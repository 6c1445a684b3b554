#include "controller/cli/catalog/catalog_file.h"

#include <fmt/format.h>

#include <chrono>

#include "common/status/status.h"
#include "controller/domain/channel.h"

namespace slipway::cli::catalog {
namespace {

using config::Section;

constexpr std::size_t kMostBytes = 4 * 1024 * 1024;

bool IsName(const std::string& name, std::size_t longest) {
  return !name.empty() && name.size() <= longest && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

void CheckName(Section& root, const char* key, const std::string& name) {
  if (root.Has(key) && !IsName(name, 63)) {
    root.Fail(key, "use 1 to 63 of a-z, 0-9 and '-', not beginning with '-'");
  }
}

google::protobuf::Duration ToProto(Duration duration) {
  google::protobuf::Duration out;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<std::int32_t>((duration - seconds).count()));
  return out;
}

template <typename Message>
void ReadLabels(Section& root, Message& message) {
  for (const auto& [key, value] : root.GetStringMap("require")) {
    (*message.mutable_requirements())[key] = value;
  }
}

}  // namespace

absl::Status CatalogReader::Add(std::string_view text, const std::string& file_name,
                                const std::string& folder) {
  SLIPWAY_ASSIGN_OR_RETURN(auto documents,
                           config::Document::ParseAll(text, file_name, {.max_bytes = kMostBytes}));
  std::string mistakes;
  for (config::Document& document : documents) {
    Section root = document.Root();
    if (!root.Has("kind")) root.Fail("kind", "required, but missing");
    const std::string kind = root.GetOneOf("kind", {"environment", "target", "application"}, "");
    if (kind == "environment") ReadEnvironment(root);
    if (kind == "target") ReadTarget(root, folder);
    if (kind == "application") ReadApplication(root);
    // Of something unknown no key is unknown.
    if (kind.empty()) root.IgnoreRest();
    const absl::Status status = document.Finish();
    if (!status.ok()) {
      mistakes += (mistakes.empty() ? "" : "\n") + std::string(status.message());
    }
  }
  if (mistakes.empty()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID", mistakes);
}

void CatalogReader::CheckOnce(Section& root, const std::string& key) {
  if (!seen_.insert(key).second) {
    root.Fail("name", fmt::format("{} is described more than once", key));
  }
}

void CatalogReader::ReadEnvironment(Section root) {
  v1::Environment environment;
  environment.set_name(root.RequireString("name"));
  CheckName(root, "name", environment.name());
  environment.set_description(root.GetString("description", ""));
  environment.set_order(static_cast<std::int32_t>(root.GetInt("order", 0, -1000, 1000)));
  CheckOnce(root, fmt::format("environment '{}'", environment.name()));
  catalog_.environments.push_back(std::move(environment));
}

// Defaults are written out, so that what is there compares with what is wished.
void CatalogReader::ReadChannel(Section& root, v1::Target& target) {
  v1::Channel& channel = *target.mutable_channel();
  channel.set_language(root.GetOneOf("language", {"en", "zh-CN"}, "en"));
  *channel.mutable_valid_for() =
      ToProto(root.GetDuration("valid_for", std::chrono::hours(24 * 14), std::chrono::minutes(1),
                               std::chrono::hours(24 * 400)));
  if (target.platform() == domain::kPagePlatform) return;
  channel.set_plain(root.GetBool("no_tls", false));
  if (target.platform() == domain::kWebhookPlatform) channel.set_url(root.RequireString("url"));
  if (domain::IsRobotPlatform(target.platform())) channel.set_url(root.GetString("url", ""));
  if (target.platform() != domain::kEmailPlatform) return;
  channel.set_url(root.RequireString("server"));
  channel.set_user(root.GetString("user", ""));
  channel.set_from(root.RequireString("from"));
  for (const std::string& address : root.GetStrings("to")) channel.add_to(address);
  for (const std::string& address : root.GetStrings("may_reach")) channel.add_may_reach(address);
  channel.set_attach_up_to(
      static_cast<std::uint64_t>(root.GetInt("attach_up_to", 10 << 20, 0, 25 << 20)));
}

void CatalogReader::ReadTarget(Section root, const std::string& folder) {
  v1::Target target;
  target.set_platform(root.RequireString("platform"));
  if (root.Has("platform") && (!IsName(target.platform(), 32) || target.platform()[0] < 'a')) {
    root.Fail("platform", "use 1 to 32 of a-z, 0-9 and '-', first a letter");
  }
  target.set_name(root.GetString("name", target.platform()));
  CheckName(root, "name", target.name());
  target.set_environment(root.GetString("environment", ""));
  CheckName(root, "environment", target.environment());
  if (domain::IsChannelPlatform(target.platform())) {
    ReadChannel(root, target);
  } else {
    target.set_image(root.RequireString("image"));
    target.set_proxy(root.GetString("proxy", ""));
    target.set_network(root.GetOneOf("network", {"bridge", "host"}, "bridge"));
    ReadLabels(root, target);
  }
  *target.mutable_deadline() = ToProto(root.GetDuration(
      "deadline", std::chrono::minutes(10), std::chrono::seconds(10), std::chrono::hours(2)));
  target.set_ca_pem(root.GetString("ca", ""));
  const std::string key = root.Has("ca") ? "ca" : "ca_file";
  if (const auto file = root.FindString("ca_file")) {
    if (root.Has("ca")) root.Fail("ca_file", "name a file or write the certificates, not both");
    const bool absolute = !file->empty() && file->front() == '/';
    const auto bytes = read_file_(absolute ? *file : folder + "/" + *file);
    if (bytes.ok()) {
      target.set_ca_pem(*bytes);
    } else {
      root.Fail("ca_file", std::string(bytes.status().message()));
    }
  }
  if (root.Has(key) && !target.ca_pem().empty() &&
      target.ca_pem().find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    root.Fail(key, "holds no PEM certificate");
  }
  // Here, so that it does not leave this machine.
  if (target.ca_pem().find("PRIVATE KEY-----") != std::string::npos) {
    root.Fail(key, "holds a private key; give certificates alone");
  }
  CheckOnce(root, fmt::format("target '{}/{}'", target.platform(), target.name()));
  catalog_.targets.push_back(std::move(target));
}

void CatalogReader::ReadApplication(Section root) {
  v1::Application application;
  application.set_name(root.RequireString("name"));
  CheckName(root, "name", application.name());
  application.set_repository(root.RequireString("repository"));
  application.set_description(root.GetString("description", ""));
  ReadLabels(root, application);
  const Duration timeout = root.GetDuration("queue_timeout", Duration::zero(),
                                            std::chrono::seconds(1), std::chrono::hours(24 * 30));
  if (timeout > Duration::zero()) *application.mutable_queue_timeout() = ToProto(timeout);
  CheckOnce(root, fmt::format("application '{}'", application.name()));
  catalog_.applications.push_back(std::move(application));
}

}  // namespace slipway::cli::catalog
