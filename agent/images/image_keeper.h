#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/executor/container_engine.h"
#include "agent/images/image_record.h"
#include "agent/images/image_reference.h"
#include "common/base/time.h"
#include "common/protocol/health.h"

namespace slipway::images {

struct ImageKeeperOptions {
  PullRules rules;
  // File that remembers what was pulled.
  std::string record_path;
  // One call of the Engine, and one pull.
  Duration engine_timeout = std::chrono::seconds(60);
  Duration pull_timeout = std::chrono::minutes(30);
  // Between two looks whether an ordered image is there still.
  Duration recheck = std::chrono::minutes(1);
  // Before a failed one is tried again by itself.
  Duration retry = std::chrono::minutes(5);
};

struct ImageKeeperParts {
  executor::ContainerEngine& engine;
  // What a failed call means to people.
  std::function<protocol::Failure(const absl::Status&)> explain;
  // Takes the reports about all orders whenever one has changed; only queues.
  std::function<void(std::vector<protocol::ImageReport>)> report;
};

struct PulledImage {
  std::string name;
  WallTime last_used;
};

// The images of this machine: makes present those that the controller ordered, on a thread of its
// own, and those that an attempt needs, in the same way. Two that want the same image wait for one
// pull. Thread-safe.
class ImageKeeper {
 public:
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ImageKeeper>> Create(
      ImageKeeperOptions options, ImageKeeperParts parts);
  // Stops.
  ~ImageKeeper();
  ImageKeeper(const ImageKeeper&) = delete;
  ImageKeeper& operator=(const ImageKeeper&) = delete;

  void Start();
  // Requests the end: pulls are broken off, other calls of the Engine end by themselves.
  void Stop();

  // These instead of all earlier ones; returns at once.
  void SetOrders(const std::vector<protocol::ImageOrder>& orders);

  // The image, pulled when it is missing and the rules allow it; `pulling` is called before a pull
  // begins. Blocks. kNotFound, IMAGE_MISSING: it is not here, and cannot or may not be pulled.
  // Otherwise as ContainerEngine::PullImage.
  [[nodiscard]] absl::StatusOr<executor::ImageInfo> Ensure(const std::string& image,
                                                           const std::function<void()>& pulling,
                                                           const std::stop_token& stop);

  // The image, made by `make` when it is missing; whoever wants it meanwhile waits for that. `make`
  // gets a token that is requested with `stop` and at the end; afterwards the image is there.
  [[nodiscard]] absl::StatusOr<executor::ImageInfo> EnsureMade(
      const std::string& image, const std::function<absl::Status(const std::stop_token&)>& make,
      const std::stop_token& stop);

  // What was pulled or made here and is neither ordered nor being fetched, nor used since
  // `idle_since`.
  [[nodiscard]] std::vector<PulledImage> Disposable(WallTime idle_since);
  // Deletes one of them. kAborted: it is wanted or was used again, or a container was made from it.
  [[nodiscard]] absl::Status Drop(const std::string& image, WallTime idle_since);

 private:
  struct Order {
    protocol::ImageReport report;
    MonoTime due{};  // of the next look
  };

  ImageKeeper(ImageKeeperOptions options, ImageKeeperParts parts, ImageRecord record);

  void Work(const std::stop_token& stop);
  void Prepare(const protocol::ImageOrder& order, const std::stop_token& stop);
  // Has `get` bring an image that is missing still when nobody else is at it.
  [[nodiscard]] absl::Status Bring(const std::string& image,
                                   const std::function<absl::Status(const std::stop_token&)>& get,
                                   const std::stop_token& stop);
  void NoteUse(const std::string& image);
  void Report();

  // Constant after construction.
  const ImageKeeperOptions options_;
  const ImageKeeperParts parts_;
  const SystemClock clock_;

  std::mutex mu_;
  std::condition_variable_any changed_;
  // Guarded by mu_.
  std::map<std::string, Order> orders_;
  std::set<std::string> coming_;  // being pulled, made or deleted
  ImageRecord record_;

  // Last: it uses the rest.
  std::jthread worker_;
};

}  // namespace slipway::images
