#include "controller/options.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "common/config/document.h"
#include "common/status/status.h"

namespace slipway::controller {
namespace {

// From some seconds, so that a rotation can be watched, up to what the farm's CA will see.
std::chrono::seconds ReadSeconds(config::Section& section, const char* key,
                                 std::chrono::seconds fallback) {
  return std::chrono::duration_cast<std::chrono::seconds>(
      section.GetDuration(key, fallback, std::chrono::seconds(5), std::chrono::hours(24 * 366)));
}

// What a browser sends as Origin: scheme, host and port, nothing else. No wildcards.
bool IsOrigin(const std::string& text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string::npos || text.size() == scheme + 3) return false;
  const std::string_view kind(text.data(), scheme);
  return (kind == "http" || kind == "https") &&
         text.find_first_of("/*?# \t", scheme + 3) == std::string::npos;
}

void ReadHttp(config::Section& root, Options& options) {
  options.http_listen = root.GetString("http_listen", options.http_listen);
  options.http_tls = *ParseHttpTls(root.GetOneOf("http_tls", {"off", "own", "given"}, "off"));
  options.http_certificate = root.GetString("http_certificate", "");
  options.http_key = root.GetString("http_key", "");
  options.http_allow_plain = root.GetBool("http_allow_plain", false);
  options.http_origins = root.GetStrings("http_origins");
  for (const std::string& origin : options.http_origins) {
    if (!IsOrigin(origin)) {
      root.Fail("http_origins",
                fmt::format("'{}' is no origin; use https://console.example.org", origin));
    }
  }
  const auto count = [&root](const char* key, std::size_t fallback) {
    return static_cast<std::size_t>(
        root.GetInt(key, static_cast<std::int64_t>(fallback), 1, 1'000'000));
  };
  options.http_max_connections = count("http_max_connections", options.http_max_connections);
  options.http_max_streams = count("http_max_streams", options.http_max_streams);
}

void ReadGit(config::Section git, catalog::VersionReaderOptions& reading) {
  if (git.GetBool("allow_http", false)) reading.mirrors.allowed_schemes.insert("http");
  reading.mirrors.fetch_timeout = git.GetDuration("fetch_timeout", reading.mirrors.fetch_timeout,
                                                  std::chrono::seconds(1), std::chrono::hours(2));
  reading.mirrors.environment = git.GetStringMap("environment");
  reading.max_fetches = static_cast<int>(git.GetInt("max_fetches", reading.max_fetches, 1, 64));
  reading.max_mirrors = static_cast<std::size_t>(
      git.GetInt("max_mirrors", static_cast<std::int64_t>(reading.max_mirrors), 1, 100'000));
  reading.max_bytes =
      git.GetSize("max_size", reading.max_bytes, std::int64_t{1} << 20, std::int64_t{1} << 50);
  reading.refresh_after = git.GetDuration("refresh_after", reading.refresh_after,
                                          std::chrono::seconds(1), std::chrono::hours(24));
}

void ReadHot(config::Section section, hot::Options& hot) {
  hot.on = section.GetBool("on", hot.on);
  hot.window = section.GetDuration("window", hot.window, std::chrono::seconds(1),
                                   std::chrono::hours(24 * 366));
  hot.more_than = static_cast<int>(
      section.GetInt("more_than", hot.more_than, 0, store::PackagingStore::kMostCounted - 1));
}

}  // namespace

std::optional<Options::HttpTls> ParseHttpTls(std::string_view word) {
  if (word == "off") return Options::HttpTls::kOff;
  if (word == "own") return Options::HttpTls::kOwn;
  if (word == "given") return Options::HttpTls::kGiven;
  return std::nullopt;
}

absl::StatusOr<Options> LoadOptions(const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(auto document, config::Document::Load(path));
  config::Section root = document.Root();
  Options options;
  options.data_dir = root.GetString("data_dir", "");
  options.listen = root.GetString("listen", options.listen);
  ReadHttp(root, options);
  options.names = root.GetStrings("names");
  options.database_url = root.GetString("database_url", "");
  options.postgres_user = root.GetString("postgres_user", "");
  options.public_url = root.GetString("public_url", "");
  options.allow_local_repositories = root.GetBool("allow_local_repositories", false);
  if (auto git = root.FindSection("git")) ReadGit(*std::move(git), options.repositories);
  if (auto certificates = root.FindSection("agent_certificates")) {
    options.agent_certificate_lifetime =
        ReadSeconds(*certificates, "lifetime", options.agent_certificate_lifetime);
    options.agent_certificate_overlap =
        ReadSeconds(*certificates, "overlap", options.agent_certificate_overlap);
  }
  options.no_agent_grace = root.GetDuration("no_agent_grace", options.no_agent_grace,
                                            std::chrono::seconds(1), std::chrono::hours(24 * 7));
  options.max_unfinished = static_cast<std::size_t>(root.GetInt(
      "max_unfinished", static_cast<std::int64_t>(options.max_unfinished), 1, 10'000'000));
  options.publish_margin = root.GetDuration("publish_margin", options.publish_margin,
                                            std::chrono::seconds(1), std::chrono::hours(24));
  if (auto hot = root.FindSection("hot_cache")) ReadHot(*std::move(hot), options.hot);
  root.Refuse(
      "targets",
      "publish targets are kept by the farm: write them as documents of `kind: target` into "
      "a file of their own and say `slipway apply -f FILE` (docs/configuration.md)");
  SLIPWAY_RETURN_IF_ERROR(document.Finish());
  return options;
}

}  // namespace slipway::controller
