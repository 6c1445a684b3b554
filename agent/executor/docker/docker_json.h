#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/executor/container_engine.h"
#include "agent/executor/path_map.h"

// Our values as the Docker Engine's JSON and back. Pure. Every Parse… takes the body of an answer
// and gives kInternal, ENGINE_ANSWER_INVALID when something indispensable is missing from it.
namespace slipway::docker {

// REQUIRES: Validate(spec).ok().
[[nodiscard]] std::string CreateContainerBody(const executor::ContainerSpec& spec,
                                              const std::vector<executor::PathMapping>& path_map);
[[nodiscard]] std::string CommitBody(const executor::Labels& labels);
[[nodiscard]] std::string CreateNetworkBody(const executor::NetworkSpec& spec);
// The value of the query parameter `filters`, not yet percent-encoded.
[[nodiscard]] std::string LabelFilter(const executor::Labels& labels);

// The same for images without a name that carry the label `key`.
[[nodiscard]] std::string ReplacedImagesFilter(const std::string& key);

// What the Engine tells of a pull: a JSON object in each line, cut anywhere. Keeps the last error
// among them. Confined to one thread.
class PullProgress {
 public:
  void Add(std::string_view piece);
  // The Engine's or the registry's words, after the last piece; empty: there was no error.
  [[nodiscard]] std::string TakeError();

 private:
  std::string rest_;
  std::string error_;
};

struct NetworkDescription {
  executor::NetworkInfo info;
  std::string name;
  std::string driver;
  executor::Labels labels;
  bool containers_may_talk = true;
};

// Everything but api_version.
[[nodiscard]] absl::StatusOr<executor::EngineInfo> ParseEngineInfo(std::string_view body);
[[nodiscard]] absl::StatusOr<executor::ImageInfo> ParseImage(std::string_view body);
[[nodiscard]] absl::StatusOr<NetworkDescription> ParseNetwork(std::string_view body);
[[nodiscard]] absl::StatusOr<executor::CreatedContainer> ParseCreated(std::string_view body);
[[nodiscard]] absl::StatusOr<executor::ContainerState> ParseContainerState(std::string_view body);
[[nodiscard]] absl::StatusOr<std::vector<executor::ContainerSummary>> ParseContainerList(
    std::string_view body);

[[nodiscard]] absl::StatusOr<std::vector<std::string>> ParseImageIds(std::string_view body);

// The Engine's own words of an answer that is an error; the start of the body if it is not JSON.
[[nodiscard]] std::string ErrorWords(std::string_view body);

// The text of a log answer without the 8-byte headers before each piece, cut to its last
// `max_bytes`. Stops where a header makes no sense.
[[nodiscard]] std::string DemultiplexLog(std::string_view body, std::size_t max_bytes);

}  // namespace slipway::docker
