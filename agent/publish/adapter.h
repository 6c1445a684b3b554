#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/failure.h"

// The contract with a platform's adapter: a program in the farm's publisher image that reads
// request.json, proves the credential, then uploads the product with the platform's own client, or
// (operation "probe") asks the platform what became of an earlier upload, and writes result.json,
// whole or not at all. docs/adapters.md is its text. Pure functions.
namespace slipway::publish {

// Rises when an adapter that knows the former version could misread a request.
inline constexpr int kContractVersion = 1;
// How a publisher image starts its adapter, and where the adapter finds its request.
inline constexpr std::string_view kAdapterArgv[] = {"node", "/opt/slipway/adapter/publish.cjs"};
inline constexpr char kRequestVariable[] = "SLIPWAY_PUBLISH_REQUEST";
inline constexpr char kResultFile[] = "result.json";
inline constexpr std::size_t kMaxResultBytes = std::size_t{64} << 10;
// Where the adapter announces its stages as it goes, a line each.
inline constexpr char kProgressFile[] = "progress";
inline constexpr std::size_t kMaxProgressBytes = std::size_t{4} << 10;

struct AdapterRequest {
  // Ask about the version instead of publishing it; product_dir is then empty.
  bool probe = false;
  std::string platform;
  std::string app_id;
  std::string mode;  // "upload" or "preview"
  std::string version;
  std::string description;
  // All inside the container.
  std::string product_dir;
  std::string credential_file;
  std::string out_dir;
  std::string ca_file;  // empty: none
  std::string proxy;    // empty: direct
  Duration deadline{};
  // From slipway.yaml, as they are there; numbers and true/false as such. The adapter knows which
  // there are.
  std::map<std::string, std::string> options;
};
[[nodiscard]] std::string EncodeRequest(const AdapterRequest& request);

// What a log may not show of a credential: all of it, and what is secret inside when it is JSON.
// Holds plain secrets: wipe it.
[[nodiscard]] std::vector<std::string> SecretWords(std::string_view credential);

struct AdapterResult {
  // How far it came: "check", "prove", then the mode; empty: it did not say.
  std::string stage;
  std::variant<protocol::PublishOutcome, protocol::Failure, protocol::ProbeOutcome> what;
  bool upload_started = false;
  // File in the output directory with the image of the platform's code, a plain name; empty: none.
  std::string code_file = {};
};
// `json` is hostile: it comes out of a container. kInvalidArgument, PUBLISH_RESULT_INVALID.
[[nodiscard]] absl::StatusOr<AdapterResult> ParseResult(std::string_view json);

// What became of a preview that failed so, where ParseResult's message speaks of a publish.
[[nodiscard]] std::string PreviewMessage(const protocol::Failure& failure, std::string_view stage);
// A failure of which nobody can say that nothing was published: in mode "upload", once the upload
// has begun, only the platform's own answer (platform_refused, credential) says so, whatever class
// the adapter gives it. A preview changes nothing that people see.
[[nodiscard]] bool InDoubt(const AdapterResult& result, std::string_view mode);
// Takes out every text that the adapter wrote; class and stage, which come from fixed lists, stay.
// For a result that nobody can mask any more.
void DropText(AdapterResult& result);

// `text` is what the progress file holds by now, hostile as well: whether one of its whole lines
// says that `stage` was begun.
[[nodiscard]] bool Announces(std::string_view text, std::string_view stage);

}  // namespace slipway::publish
