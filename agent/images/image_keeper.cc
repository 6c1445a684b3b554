#include "agent/images/image_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::images {

using protocol::ImageState;

namespace {

bool IsMissing(const absl::Status& status) {
  return GetErrorInfo(status).reason == "IMAGE_MISSING";
}

// Requested when one of two is; neither may wait for the other.
class EitherStop {
 public:
  EitherStop(const std::stop_token& a, const std::stop_token& b)
      : first_(a, Request{source_}), second_(b, Request{source_}) {}
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  struct Request {
    std::stop_source source;
    void operator()() { source.request_stop(); }
  };
  std::stop_source source_;
  std::stop_callback<Request> first_;
  std::stop_callback<Request> second_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageKeeper>> ImageKeeper::Create(ImageKeeperOptions options,
                                                                 ImageKeeperParts parts) {
  SLIPWAY_ASSIGN_OR_RETURN(ImageRecord record, ImageRecord::Load(options.record_path));
  return std::unique_ptr<ImageKeeper>(
      new ImageKeeper(std::move(options), std::move(parts), std::move(record)));
}

ImageKeeper::ImageKeeper(ImageKeeperOptions options, ImageKeeperParts parts, ImageRecord record)
    : options_(std::move(options)), parts_(std::move(parts)), record_(std::move(record)) {}

ImageKeeper::~ImageKeeper() { Stop(); }

void ImageKeeper::Start() {
  worker_ = std::jthread([this](const std::stop_token& stop) { Work(stop); });
}

void ImageKeeper::Stop() { worker_.request_stop(); }

void ImageKeeper::SetOrders(const std::vector<protocol::ImageOrder>& orders) {
  {
    const std::lock_guard lock(mu_);
    std::map<std::string, Order> next;
    for (const protocol::ImageOrder& order : orders) {
      const auto known = orders_.find(order.image);
      if (known != orders_.end() && known->second.report.order.number >= order.number) {
        next[order.image] = std::move(known->second);
      } else {
        next[order.image] = {
            .report = {.order = order, .state = ImageState::kPreparing, .id = {}, .failure = {}},
            .due = {}};
      }
    }
    orders_ = std::move(next);
  }
  changed_.notify_all();
  Report();
}

void ImageKeeper::Report() {
  std::vector<protocol::ImageReport> reports;
  {
    const std::lock_guard lock(mu_);
    for (const auto& [image, order] : orders_) reports.push_back(order.report);
  }
  parts_.report(std::move(reports));
}

void ImageKeeper::Work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::optional<protocol::ImageOrder> next;
    {
      std::unique_lock lock(mu_);
      const auto soonest = [&] {
        return std::min_element(orders_.begin(), orders_.end(), [](const auto& a, const auto& b) {
          return a.second.due < b.second.due;
        });
      };
      const auto is_due = [&] {
        const auto order = soonest();
        return order != orders_.end() && order->second.due <= clock_.Mono();
      };
      const auto order = soonest();
      const Duration wait =
          order == orders_.end() ? options_.recheck : order->second.due - clock_.Mono();
      if (!is_due()) changed_.wait_for(lock, stop, std::max(wait, Duration::zero()), is_due);
      if (is_due()) next = soonest()->second.report.order;
    }
    if (next && !stop.stop_requested()) Prepare(*next, stop);
  }
}

void ImageKeeper::Prepare(const protocol::ImageOrder& order, const std::stop_token& stop) {
  const absl::StatusOr<executor::ImageInfo> image = Ensure(
      order.image, [] {}, stop);
  if (stop.stop_requested()) return;
  {
    const std::lock_guard lock(mu_);
    const auto it = orders_.find(order.image);
    if (it == orders_.end() || it->second.report.order != order) return;  // asked anew meanwhile
    Order& current = it->second;
    current.due = clock_.Mono() + (image.ok() ? options_.recheck : options_.retry);
    current.report.state = image.ok() ? ImageState::kReady : ImageState::kFailed;
    current.report.id = image.ok() ? image->id : "";
    current.report.failure.reset();
    if (!image.ok()) {
      current.report.failure = parts_.explain(image.status());
      log::Warn("image_not_prepared", {{"image", order.image}, {"why", Describe(image.status())}});
    }
  }
  Report();
}

absl::StatusOr<executor::ImageInfo> ImageKeeper::Ensure(const std::string& image,
                                                        const std::function<void()>& pulling,
                                                        const std::stop_token& stop) {
  absl::StatusOr<executor::ImageInfo> info =
      parts_.engine.InspectImage(image, options_.engine_timeout);
  if (info.ok()) NoteUse(image);
  if (info.ok() || !IsMissing(info.status()) || !MayPull(options_.rules, image)) return info;
  pulling();
  SLIPWAY_RETURN_IF_ERROR(Bring(
      image,
      [&](const std::stop_token& either) {
        log::Info("image_pull", {{"image", image}});
        return parts_.engine.PullImage(image, options_.pull_timeout, either);
      },
      stop));
  return parts_.engine.InspectImage(image, options_.engine_timeout);
}

absl::StatusOr<executor::ImageInfo> ImageKeeper::EnsureMade(
    const std::string& image, const std::function<absl::Status(const std::stop_token&)>& make,
    const std::stop_token& stop) {
  absl::StatusOr<executor::ImageInfo> info =
      parts_.engine.InspectImage(image, options_.engine_timeout);
  if (info.ok()) NoteUse(image);
  if (info.ok() || !IsMissing(info.status())) return info;
  SLIPWAY_RETURN_IF_ERROR(Bring(image, make, stop));
  return parts_.engine.InspectImage(image, options_.engine_timeout);
}

absl::Status ImageKeeper::Bring(const std::string& image,
                                const std::function<absl::Status(const std::stop_token&)>& get,
                                const std::stop_token& stop) {
  {
    std::unique_lock lock(mu_);
    if (!changed_.wait(lock, stop, [&] { return !coming_.contains(image); })) {
      return absl::CancelledError("canceled while the image was awaited that another brings");
    }
    coming_.insert(image);
  }
  // Brought by somebody else while we waited: then there is nothing to do.
  absl::Status brought = parts_.engine.InspectImage(image, options_.engine_timeout).status();
  if (IsMissing(brought)) {
    const EitherStop either(stop, worker_.get_stop_token());
    brought = get(either.token());
    const std::lock_guard lock(mu_);
    // Not remembered, it would merely never be deleted.
    if (brought.ok()) record_.Put(image, clock_.Wall()).IgnoreError();
  }
  {
    const std::lock_guard lock(mu_);
    coming_.erase(image);
  }
  changed_.notify_all();
  return brought;
}

void ImageKeeper::NoteUse(const std::string& image) {
  constexpr Duration kOftenEnough = std::chrono::minutes(1);
  const std::lock_guard lock(mu_);
  const auto known = record_.images().find(image);
  if (known == record_.images().end() || clock_.Wall() - known->second < kOftenEnough) return;
  record_.Put(image, clock_.Wall()).IgnoreError();
}

std::vector<PulledImage> ImageKeeper::Disposable(WallTime idle_since) {
  const std::lock_guard lock(mu_);
  std::vector<PulledImage> images;
  for (const auto& [image, used] : record_.images()) {
    if (orders_.contains(image) || coming_.contains(image) || used > idle_since) continue;
    images.push_back({image, used});
  }
  return images;
}

absl::Status ImageKeeper::Drop(const std::string& image, WallTime idle_since) {
  {
    const std::lock_guard lock(mu_);
    const auto known = record_.images().find(image);
    if (orders_.contains(image) || coming_.contains(image) || known == record_.images().end() ||
        known->second > idle_since) {
      return absl::AbortedError("the image is wanted again");
    }
    // Whoever wants it now waits, and pulls it again.
    coming_.insert(image);
  }
  absl::Status removed = parts_.engine.RemoveImage(image, options_.engine_timeout);
  {
    const std::lock_guard lock(mu_);
    coming_.erase(image);
    if (removed.ok()) removed = record_.Remove(image);
  }
  changed_.notify_all();
  return removed;
}

}  // namespace slipway::images
