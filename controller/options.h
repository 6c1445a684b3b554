#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/catalog/version_reader.h"
#include "controller/hot/hot_cache.h"

namespace slipway::controller {

// What the controller is told by its configuration file and flags (docs/configuration.md).
struct Options {
  // Everything the controller owns: database cluster, keys, logs, blobs.
  std::string data_dir;
  // HOST:PORT of the gRPC listener; port 0 takes a free one.
  std::string listen = "0.0.0.0:7443";
  // HOST:PORT of the HTTP port; port 0 takes a free one; "off": none.
  std::string http_listen = "127.0.0.1:7480";
  // kOwn: with a certificate of the farm's CA, like gRPC. kGiven: with the two PEM files below.
  enum class HttpTls { kOff, kOwn, kGiven };
  HttpTls http_tls = HttpTls::kOff;
  std::string http_certificate;
  std::string http_key;
  // HTTP without TLS may be served to other machines, where a proxy adds TLS.
  bool http_allow_plain = false;
  // Origins whose pages may call from a browser.
  std::vector<std::string> http_origins;
  std::size_t http_max_connections = 4096;
  std::size_t http_max_streams = 4000;
  // Names and addresses that clients and agents use, beside localhost and the host's name.
  std::vector<std::string> names;
  // libpq URL of a PostgreSQL server; empty: an own cluster in data_dir.
  std::string database_url;
  // Account of the own cluster's server; empty: chosen by itself.
  std::string postgres_user;
  // Base of the URL in QR codes; empty: codes in the farm's own scheme.
  std::string public_url;
  // Applications may name repositories on disks (file://, /path). For demonstrations and tests.
  bool allow_local_repositories = false;
  // How the versions that people choose from are read; `mirrors.work_dir` is in data_dir.
  catalog::VersionReaderOptions repositories;
  // Of the certificates that agents get; they renew them when two thirds are over.
  std::chrono::seconds agent_certificate_lifetime = std::chrono::hours(24 * 90);
  // How long a certificate is taken beside its successor when that is never used.
  std::chrono::seconds agent_certificate_overlap = std::chrono::hours(24 * 7);
  // How long a task waits although no agent of the farm has its labels; then it fails.
  Duration no_agent_grace = std::chrono::minutes(10);
  // Tasks that are not finished, of the whole farm; submits beyond it are refused (QUEUE_FULL). All
  // are held in memory.
  std::size_t max_unfinished = 100'000;
  // How long after the end of a publish's client nobody may say yet that nothing was published.
  Duration publish_margin = std::chrono::minutes(1);
  hot::Options hot;
  // Makes new farm keys although the database is in use: agents join anew, credentials are sealed
  // anew. Only a flag, so that it happens once.
  bool new_keys = false;
};

// "off", "own", "given"; nullopt: another word.
[[nodiscard]] std::optional<Options::HttpTls> ParseHttpTls(std::string_view word);

// The options of a YAML file. kInvalidArgument names file, line and key.
[[nodiscard]] absl::StatusOr<Options> LoadOptions(const std::string& path);

}  // namespace slipway::controller
