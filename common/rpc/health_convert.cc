#include "common/rpc/health_convert.h"

#include <utility>

#include "common/rpc/bounds.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"

namespace slipway::rpc {
namespace {

constexpr int kMaxDisks = 16;
constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMaxImage = 512;

}  // namespace

v1::AgentHealth ToProto(const protocol::AgentHealth& health) {
  v1::AgentHealth out;
  for (const protocol::DiskHealth& disk : health.disks) {
    auto* line = out.add_disks();
    line->set_path(Cut(disk.path, kMaxPath));
    line->set_state(static_cast<v1::DiskState>(disk.state));
    line->set_free_bytes(disk.free_bytes);
    line->set_total_bytes(disk.total_bytes);
    line->set_free_inodes(disk.free_inodes);
    line->set_total_inodes(disk.total_inodes);
  }
  out.mutable_engine()->set_state(static_cast<v1::EngineState>(health.engine.state));
  *out.mutable_engine()->mutable_since() = ToProto(health.engine.since);
  out.mutable_engine()->set_words(Cut(health.engine.words));
  if (health.clock_skew) *out.mutable_clock_skew() = ToProtoDuration(*health.clock_skew);
  out.mutable_starts()->set_warm(health.starts.warm);
  out.mutable_starts()->set_kept_network(health.starts.kept_network);
  out.mutable_starts()->set_cold(health.starts.cold);
  out.mutable_starts()->set_waiting(health.starts.waiting);
  return out;
}

absl::StatusOr<protocol::AgentHealth> FromProto(const v1::AgentHealth& health) {
  protocol::AgentHealth out;
  if (health.disks_size() > kMaxDisks) return Bad("health.disks", "too many");
  for (const v1::DiskHealth& line : health.disks()) {
    SLIPWAY_RETURN_IF_ERROR(CheckLength("health.disks.path", line.path(), kMaxPath));
    if (line.state() < v1::DISK_STATE_OK || line.state() > v1::DISK_STATE_FULL) {
      return Bad("health.disks.state", "unknown value");
    }
    out.disks.push_back({.path = line.path(),
                         .state = static_cast<protocol::DiskState>(line.state()),
                         .free_bytes = line.free_bytes(),
                         .total_bytes = line.total_bytes(),
                         .free_inodes = line.free_inodes(),
                         .total_inodes = line.total_inodes()});
  }
  const v1::EngineHealth& engine = health.engine();
  if (engine.state() < v1::ENGINE_STATE_OK || engine.state() > v1::ENGINE_STATE_DOWN) {
    return Bad("health.engine.state", "unknown value");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckLength("health.engine.words", engine.words(), kMaxText));
  out.engine.state = static_cast<protocol::EngineState>(engine.state());
  if (engine.has_since()) out.engine.since = FromProto(engine.since());
  out.engine.words = engine.words();
  if (health.has_clock_skew()) out.clock_skew = FromProto(health.clock_skew());
  out.starts = {.warm = health.starts().warm(),
                .kept_network = health.starts().kept_network(),
                .cold = health.starts().cold(),
                .waiting = health.starts().waiting()};
  return out;
}

v1::ImageOrder ToProto(const protocol::ImageOrder& order) {
  v1::ImageOrder out;
  out.set_image(order.image);
  out.set_number(order.number);
  return out;
}

absl::StatusOr<protocol::ImageOrder> FromProto(const v1::ImageOrder& order) {
  if (order.image().empty()) return Bad("image", "missing");
  SLIPWAY_RETURN_IF_ERROR(CheckLength("image", order.image(), kMaxImage));
  return protocol::ImageOrder{.image = order.image(), .number = order.number()};
}

v1::ImageReport ToProto(const protocol::ImageReport& report) {
  v1::ImageReport out;
  *out.mutable_order() = ToProto(report.order);
  out.set_state(static_cast<v1::ImageState>(report.state));
  out.set_id(Cut(report.id));
  if (report.failure) *out.mutable_failure() = ToProto(*report.failure);
  return out;
}

absl::StatusOr<protocol::ImageReport> FromProto(const v1::ImageReport& report) {
  protocol::ImageReport out;
  SLIPWAY_ASSIGN_OR_RETURN(out.order, FromProto(report.order()));
  if (report.state() < v1::IMAGE_STATE_PREPARING || report.state() > v1::IMAGE_STATE_FAILED) {
    return Bad("images.state", "unknown value");
  }
  out.state = static_cast<protocol::ImageState>(report.state());
  SLIPWAY_RETURN_IF_ERROR(CheckLength("images.id", report.id(), kMaxText));
  out.id = report.id();
  if (report.has_failure()) {
    SLIPWAY_ASSIGN_OR_RETURN(out.failure, FromProto(report.failure()));
  }
  return out;
}

}  // namespace slipway::rpc
