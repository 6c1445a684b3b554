#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/failure.h"
#include "common/protocol/platform_code.h"

// What one attempt came to, made at the agent and kept in its outbox until the controller takes it.
namespace slipway::protocol {

// What a build hands over. Everything a later publish needs, so that it needs no repository.
struct BuildOutcome {
  // Full id of the commit that was built.
  std::string commit;
  std::string commit_subject;
  // Docker image id the script ran in.
  std::string image_digest;
  // The archived product; zero when the script failed before there was one.
  Sha256Digest manifest;
  std::uint64_t artifact_bytes = 0;
  std::uint32_t artifact_files = 0;
  // Version shown to people: the script's own word, else the submitted one.
  std::string version;
  // QR content the script asked for; empty: the farm's own release code only.
  std::string script_qr;
  // Of slipway.yaml at that commit, for the publish task: the platform's application id, the sealed
  // credential (CMS, opens for the controller alone) and the adapter's options as "key=value".
  std::string app_id;
  std::string sealed_credential;
  std::vector<std::string> publish_options;
  // What the script was told: every parameter of that commit → its value.
  std::map<std::string, std::string> parameters{};
  // The build (a task's id) whose product this is, when the same had been built before; empty: it
  // was built here.
  std::string same_as{};
  // The image as slipway.yaml names it, unless it was prepared; then that name and id are here.
  std::string image{};
  std::string base_image{};
  std::string base_image_digest{};

  friend bool operator==(const BuildOutcome&, const BuildOutcome&) = default;
};

// What a publish hands over.
struct PublishOutcome {
  // Where people find it: a URL of the platform; may be empty.
  std::string link = {};
  // Empty when the platform has none.
  PlatformCode code = {};
  // Client and server codes and sizes as the adapter reported them, JSON, at most 16 KiB.
  std::string details_json = {};

  friend bool operator==(const PublishOutcome&, const PublishOutcome&) = default;
};

enum class ProbeVerdict { kPublished = 1, kNotPublished = 2, kCannotTell = 3 };

// What a probe of the platform found out about a publish of unknown outcome.
struct ProbeOutcome {
  ProbeVerdict verdict = ProbeVerdict::kCannotTell;
  // As the platform shows it; may be empty.
  std::string version = {};
  std::string link = {};
  // How it was found out, or why it cannot be: masked.
  std::string words = {};
  // What a person can do, in English and Chinese; may be empty.
  std::string remedy = {};
  std::string remedy_zh = {};

  friend bool operator==(const ProbeOutcome&, const ProbeOutcome&) = default;
};

// State of the attempt's log when the attempt ended. Offsets and digests count masked bytes.
struct LogSummary {
  std::uint64_t size = 0;
  // Root of the segment hashes (common/loghash) of all `size` bytes; zero when bytes were lost.
  Sha256Digest root;
  // Bytes that the agent knows to be lost (a spool destroyed under it). 0 in any normal life.
  std::uint64_t missing = 0;

  friend bool operator==(const LogSummary&, const LogSummary&) = default;
};

struct AttemptResult {
  // Absent: success.
  std::optional<Failure> failure;
  // Exit code of the script or client; -1 when none ran to its end.
  std::int32_t exit_code = -1;
  WallTime started_at;
  WallTime finished_at;
  LogSummary log;
  // Of a publish of unknown outcome: its client was seen to be dead and its container gone, so that
  // nothing can be published any more that is not published now.
  bool client_ended = false;
  std::optional<BuildOutcome> build;
  std::optional<PublishOutcome> publish;
  std::optional<ProbeOutcome> probe;

  [[nodiscard]] bool ok() const { return !failure.has_value(); }
  friend bool operator==(const AttemptResult&, const AttemptResult&) = default;
};

}  // namespace slipway::protocol
