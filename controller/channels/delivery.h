#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/channels/package_folder.h"
#include "controller/store/release_page_store.h"
#include "controller/store/run_reader.h"
#include "controller/store/target_store.h"

namespace slipway::channels {

// How an attempt speaks with the farm while it goes on. Thread-safe.
class AttemptVoice {
 public:
  virtual ~AttemptVoice() = default;
  [[nodiscard]] virtual bool canceled() const = 0;
  virtual void Step(std::uint32_t number, const char* name, protocol::StepState state,
                    const std::string& detail) = 0;
  // A line of the attempt's log; no secret.
  virtual void Log(std::string_view line) = 0;
  // Leave to hand `manifest` over, once. Waits; kCancelled: somebody canceled the task.
  [[nodiscard]] virtual absl::StatusOr<std::variant<protocol::Permit, protocol::Failure>> AskLeave(
      const Sha256Digest& manifest) = 0;
  // False, and at once: the attempt shall end.
  [[nodiscard]] virtual bool Wait(Duration time) = 0;
};

struct DeliveryDeps {
  store::RunReader& reader;
  store::TargetStore& targets;
  store::ReleasePageStore& pages;
  artifacts::ArtifactArchive& archive;
  const PackageFolder& packages;
  const Clock& clock;
  FarmId farm;
  const crypto::KeyAndCertificate& sealing;
  // Beginning of the pages' addresses; empty: there can be none.
  std::string public_url;
  // Before the second post to a program, the third and so on, as long as none was taken.
  std::vector<Duration> post_pauses = {std::chrono::seconds(2), std::chrono::seconds(15),
                                       std::chrono::minutes(1), std::chrono::minutes(3)};
};

// One attempt to hand a product to a channel, or to find out what became of one: makes the package
// and its page, asks for leave, and sends. Its result lacks log and times. Blocks. Thread-safe.
[[nodiscard]] protocol::AttemptResult Deliver(const DeliveryDeps& deps, const AttemptKey& key,
                                              AttemptVoice& voice);

// "<public_url>/p/<token>".
[[nodiscard]] std::string PageLink(const std::string& public_url, std::string_view token);

}  // namespace slipway::channels
