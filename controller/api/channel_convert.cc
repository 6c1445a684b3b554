#include "controller/api/channel_convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "common/rpc/convert.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/channel_url.h"
#include "controller/api/fields.h"
#include "controller/domain/task_actions.h"

namespace slipway::api {
namespace {

constexpr int kMostAddresses = 50;
constexpr int kMostRecipients = 20;
constexpr std::size_t kShortestHookKey = 16;
constexpr std::uint64_t kMostAttached = std::uint64_t{25} << 20;
constexpr Duration kShortestPage = std::chrono::minutes(1);
constexpr Duration kLongestPage = std::chrono::hours(24 * 400);
constexpr char kAlnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

// Nothing that a mail's header or a command to the server could be cut apart with.
bool IsAddress(std::string_view address) {
  const auto at = address.find('@');
  if (address.size() > 254 || at == 0 || at == std::string_view::npos || at > 64) return false;
  const std::string_view local = address.substr(0, at);
  return local.front() != '-' && local.front() != '.' && local.back() != '.' &&
         local.find_first_not_of(std::string(kAlnum) + "!#$%&'*+/=?^_`{|}~.-") ==
             std::string_view::npos &&
         IsHostName(address.substr(at + 1));
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

absl::StatusOr<std::vector<std::string>> AddressesFrom(
    const char* field, const google::protobuf::RepeatedPtrField<std::string>& addresses, int most,
    bool domains) {
  if (addresses.size() > most) return BadField(field, fmt::format("at most {}", most));
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (const std::string& address : addresses) {
    const bool domain = domains && !address.empty() && address.front() == '@';
    if (domain ? !IsHostName(std::string_view(address).substr(1)) : !IsAddress(address)) {
      return BadField(field, fmt::format("'{}' is no e-mail address{}", rpc::ValidUtf8(address),
                                         domains ? " and no @domain" : ""));
    }
    if (seen.insert(Lower(address)).second) out.push_back(address);
  }
  return out;
}

absl::Status CheckEmail(const v1::Channel& channel, domain::Channel& out) {
  SLIPWAY_RETURN_IF_ERROR(CheckMailServer(channel.url(), channel.plain()));
  SLIPWAY_RETURN_IF_ERROR(CheckText("channel.user", channel.user(), 256));
  if (!IsAddress(channel.from())) return BadField("channel.from", "is no e-mail address");
  SLIPWAY_ASSIGN_OR_RETURN(out.to,
                           AddressesFrom("channel.to", channel.to(), kMostAddresses, false));
  SLIPWAY_ASSIGN_OR_RETURN(
      out.may_reach, AddressesFrom("channel.may_reach", channel.may_reach(), kMostAddresses, true));
  if (out.to.empty() && out.may_reach.empty()) {
    return BadField("channel.to", "name somebody here, or in may_reach whom submits may name");
  }
  out.url = channel.url();
  out.user = channel.user();
  out.from = channel.from();
  out.plain = channel.plain();
  if (channel.has_attach_up_to()) out.attach_up_to = channel.attach_up_to();
  if (out.attach_up_to > kMostAttached) {
    return BadField("channel.attach_up_to", "more than 25 MiB, which mail servers refuse");
  }
  return absl::OkStatus();
}

bool MayReach(const domain::Channel& channel, const std::string& address) {
  const std::string wanted = Lower(address);
  const std::string domain = wanted.substr(wanted.find('@'));
  const auto fits = [&](const std::string& allowed) {
    return Lower(allowed) == wanted || Lower(allowed) == domain;
  };
  return std::any_of(channel.may_reach.begin(), channel.may_reach.end(), fits) ||
         std::any_of(channel.to.begin(), channel.to.end(), fits);
}

}  // namespace

absl::StatusOr<domain::Channel> ChannelFrom(const std::string& platform,
                                            const v1::Channel& channel) {
  domain::Channel out;
  if (!channel.language().empty()) out.language = channel.language();
  if (out.language != "en" && out.language != "zh-CN") {
    return BadField("channel.language", "is neither en nor zh-CN");
  }
  if (channel.has_valid_for()) {
    const auto& span = channel.valid_for();
    const bool representable = span.seconds() >= 0 && span.seconds() <= 100'000'000 &&
                               span.nanos() >= 0 && span.nanos() < 1'000'000'000;
    out.valid_for = representable ? rpc::FromProto(span) : Duration(-1);
  }
  if (out.valid_for < kShortestPage || out.valid_for > kLongestPage) {
    return BadField("channel.valid_for", "not between 1 minute and 400 days");
  }
  if (platform == domain::kEmailPlatform) {
    SLIPWAY_RETURN_IF_ERROR(CheckEmail(channel, out));
    return out;
  }
  if (!channel.user().empty() || !channel.from().empty() || channel.to_size() > 0 ||
      channel.may_reach_size() > 0 || channel.has_attach_up_to()) {
    return BadField("channel",
                    "user, from, to, may_reach and attach_up_to are for the platform email only");
  }
  if (platform == domain::kPagePlatform) {
    if (channel.url().empty() && !channel.plain()) return out;
    return BadField("channel", "a page has language and valid_for only");
  }
  if (!channel.url().empty() || !domain::IsRobotPlatform(platform)) {
    SLIPWAY_RETURN_IF_ERROR(CheckWebAddress(channel.url(), channel.plain()));
  } else if (channel.plain()) {
    return BadField("channel.plain", "only for an address of your own");
  }
  out.url = channel.url();
  out.plain = channel.plain();
  return out;
}

v1::Channel ToProto(const domain::Target& target, bool all) {
  const domain::Channel& channel = *target.channel;
  v1::Channel out;
  out.set_language(channel.language);
  *out.mutable_valid_for() = rpc::ToProtoDuration(channel.valid_for);
  const bool email = target.platform == domain::kEmailPlatform;
  if (email) {
    out.set_attach_up_to(channel.attach_up_to);
    for (const std::string& address : channel.may_reach) out.add_may_reach(address);
  }
  if (!all) return out;
  out.set_url(channel.url);
  out.set_user(channel.user);
  out.set_from(channel.from);
  for (const std::string& address : channel.to) out.add_to(address);
  out.set_plain(channel.plain);
  out.set_has_secret(target.has_secret);
  return out;
}

absl::Status CheckChannelSecret(const std::string& platform, const std::string& secret) {
  if (secret.size() > 1024 ||
      secret.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    return BadField("secret", "must be one line of at most 1024 bytes");
  }
  if (secret.empty()) return absl::OkStatus();
  if (platform == domain::kWebhookPlatform && secret.size() < kShortestHookKey) {
    return BadField("secret", "a webhook's posts are signed with it: at least 16 bytes");
  }
  if (!domain::IsRobotPlatform(platform)) return absl::OkStatus();
  const auto colon = secret.find(':');
  const std::string_view key = std::string_view(secret).substr(0, colon);
  if (key.empty() || key.find_first_not_of(std::string(kAlnum) + "-_.") != std::string_view::npos) {
    return BadField("secret", "is no robot's key: what its address ends with, not the address");
  }
  if (colon == std::string::npos) return absl::OkStatus();
  if (platform == domain::kWecomPlatform) {
    return BadField("secret", "robots of WeCom want nothing signed: leave out what follows ':'");
  }
  if (colon + 1 == secret.size()) return BadField("secret", "nothing follows ':'");
  return absl::OkStatus();
}

absl::StatusOr<RequestedChannel> RequestedChannelFrom(const v1::ChannelUse& use,
                                                      const domain::Targets& targets) {
  const std::string& key = use.channel();
  const auto slash = key.find('/');
  const std::string platform = key.substr(0, slash);
  const std::string name = slash == std::string::npos ? "" : key.substr(slash + 1);
  if (!domain::IsChannelPlatform(platform) || (slash != std::string::npos && name.empty())) {
    return BadField("channels", fmt::format("'{}' is no channel like email or email/NAME",
                                            rpc::ValidUtf8(key)));
  }
  SLIPWAY_RETURN_IF_ERROR(domain::CheckTarget(targets, platform, name));
  RequestedChannel out{.target = targets.Find(platform, name)};
  if (platform != domain::kEmailPlatform) {
    if (use.recipients_size() == 0) return out;
    return BadField("channels.recipients", fmt::format("'{}' sends nothing to anybody", key));
  }
  const domain::Channel& channel = *out.target->channel;
  SLIPWAY_ASSIGN_OR_RETURN(out.recipients, AddressesFrom("channels.recipients", use.recipients(),
                                                         kMostRecipients, false));
  for (const std::string& address : out.recipients) {
    if (MayReach(channel, address)) continue;
    return BadField("channels.recipients",
                    fmt::format("channel '{}' does not let submits name '{}'", key, address));
  }
  if (!channel.to.empty() || !out.recipients.empty()) return out;
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "NO_RECIPIENT",
      fmt::format("channel '{}' names nobody itself, and neither does the submit", key),
      "Name who gets the mail: --channel email/NAME=a@example.com");
}

}  // namespace slipway::api
