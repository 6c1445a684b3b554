#include "controller/api/catalog_convert.h"

#include <fmt/format.h>

#include <string>

#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/api/channel_convert.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

constexpr char kNameRule[] = "use 1 to 63 of a-z, 0-9 and '-', not beginning with '-'";
constexpr Duration kShortestDeadline = std::chrono::seconds(10);
constexpr Duration kLongestDeadline = std::chrono::hours(2);
constexpr std::size_t kMostCaBytes = 256 * 1024;
constexpr int kFurthestOrder = 1000;

absl::StatusOr<Duration> DeadlineFrom(const google::protobuf::Duration& deadline) {
  const bool representable = deadline.seconds() >= 0 && deadline.seconds() <= 1'000'000 &&
                             deadline.nanos() >= 0 && deadline.nanos() < 1'000'000'000;
  const Duration span = representable ? rpc::FromProto(deadline) : Duration(-1);
  if (span < kShortestDeadline || span > kLongestDeadline) {
    return BadField("deadline", "not between 10 seconds and 2 hours");
  }
  return span;
}

absl::Status CheckProxy(const std::string& proxy) {
  SLIPWAY_RETURN_IF_ERROR(CheckText("proxy", proxy, 1024));
  if (proxy.empty()) return absl::OkStatus();
  for (const char* scheme : {"http://", "https://"}) {
    const bool fits = proxy.rfind(scheme, 0) == 0 && proxy.size() > std::string(scheme).size();
    if (fits && proxy.find(' ') == std::string::npos) return absl::OkStatus();
  }
  return BadField("proxy", "is no URL like http://proxy.example:3128");
}

}  // namespace

bool IsPlatformName(const std::string& name) {
  return !name.empty() && name.size() <= 32 && name.front() >= 'a' && name.front() <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

bool IsCatalogName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

v1::Target ToProto(const domain::Target& target, Wiring wiring) {
  v1::Target out;
  out.set_platform(target.platform);
  out.set_name(target.name);
  out.set_environment(target.environment);
  *out.mutable_deadline() = rpc::ToProtoDuration(target.deadline);
  if (target.channel) {
    *out.mutable_channel() = ToProto(target, wiring == Wiring::kShown);
  } else {
    out.set_image(target.image);
    out.set_network(target.network);
    for (const auto& [key, value] : target.requirements) (*out.mutable_requirements())[key] = value;
  }
  if (wiring == Wiring::kShown) {
    out.set_proxy(target.proxy);
    out.set_ca_pem(target.ca_pem);
  }
  out.set_etag(std::to_string(target.revision));
  *out.mutable_created_at() = rpc::ToProto(target.created_at);
  return out;
}

v1::Environment ToProto(const domain::Environment& environment) {
  v1::Environment out;
  out.set_name(environment.name);
  out.set_description(environment.description);
  out.set_order(environment.order);
  out.set_etag(std::to_string(environment.revision));
  *out.mutable_created_at() = rpc::ToProto(environment.created_at);
  return out;
}

absl::StatusOr<domain::Target> TargetFrom(const v1::Target& target) {
  if (!IsPlatformName(target.platform())) {
    return BadField("platform", "use 1 to 32 of a-z, 0-9 and '-', first a letter");
  }
  if (!IsCatalogName(target.name())) return BadField("name", kNameRule);
  if (!target.environment().empty() && !IsCatalogName(target.environment())) {
    return BadField("environment", kNameRule);
  }
  const bool is_channel = domain::IsChannelPlatform(target.platform());
  if (is_channel != target.has_channel()) {
    return BadField("channel", is_channel
                                   ? "missing; say how it hands products on"
                                   : "only for platforms of channels: email, page and others");
  }
  if (is_channel && (!target.image().empty() || !target.network().empty() ||
                     !target.proxy().empty() || !target.requirements().empty())) {
    return BadField("channel", "has no image, network, proxy and requirements");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("image", target.image(), 512));
  if (is_channel) {
    // The controller is its own client.
  } else if (target.image().empty() || target.image().find(' ') != std::string::npos) {
    return BadField("image", "name the image with the platform's client");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckProxy(target.proxy()));
  SLIPWAY_RETURN_IF_ERROR(CheckText("ca_pem", target.ca_pem(), kMostCaBytes, Lines::kMany));
  if (!target.ca_pem().empty() &&
      target.ca_pem().find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return BadField("ca_pem", "holds no PEM certificate");
  }
  // Everything of it goes to agents and into containers.
  if (target.ca_pem().find("PRIVATE KEY-----") != std::string::npos) {
    return BadField("ca_pem", "holds a private key; give certificates alone");
  }
  domain::Target out;
  out.name = target.name();
  out.platform = target.platform();
  out.environment = target.environment();
  out.image = target.image();
  out.proxy = target.proxy();
  out.ca_pem = target.ca_pem();
  if (!target.network().empty()) out.network = target.network();
  if (out.network != "bridge" && out.network != "host") {
    return BadField("network", "is neither bridge nor host");
  }
  if (target.has_deadline()) {
    SLIPWAY_ASSIGN_OR_RETURN(out.deadline, DeadlineFrom(target.deadline()));
  }
  if (is_channel) {
    SLIPWAY_ASSIGN_OR_RETURN(out.channel, ChannelFrom(target.platform(), target.channel()));
    out.requirements = {{"executor", "controller"}};
    return out;
  }
  SLIPWAY_ASSIGN_OR_RETURN(out.requirements,
                           RequirementsFrom("requirements", target.requirements()));
  return out;
}

absl::StatusOr<domain::Environment> EnvironmentFrom(const v1::Environment& environment) {
  if (!IsCatalogName(environment.name())) return BadField("name", kNameRule);
  SLIPWAY_RETURN_IF_ERROR(CheckText("description", environment.description(), 1024, Lines::kMany));
  if (environment.order() < -kFurthestOrder || environment.order() > kFurthestOrder) {
    return BadField("order", "not in -1000 … 1000");
  }
  domain::Environment out;
  out.name = environment.name();
  out.description = environment.description();
  out.order = environment.order();
  return out;
}

}  // namespace slipway::api
