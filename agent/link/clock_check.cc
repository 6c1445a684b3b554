#include "agent/link/clock_check.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <ctime>

#include "common/crypto/tls_probe.h"

namespace slipway::link {
namespace {

constexpr Duration kProbe = std::chrono::seconds(5);

std::string Utc(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                     fmt::gmtime(static_cast<std::time_t>(ToUnixMicros(time) / 1'000'000)));
}

}  // namespace

std::string ClockTrouble(const std::vector<NamedCertificate>& certificates, WallTime now) {
  for (const auto& [name, facts] : certificates) {
    if (now >= facts.not_before && now < facts.not_after) continue;
    return fmt::format(
        "by this machine's clock it is {}, but {} is valid from {} to {}: set the clock of this "
        "machine or of the controller's, or renew the certificate",
        Utc(now), name, Utc(facts.not_before), Utc(facts.not_after));
  }
  return "";
}

std::string ExplainByClock(const Identity& identity, WallTime now) {
  std::vector<NamedCertificate> certificates;
  const auto add = [&](const char* name, const std::string& pem) {
    if (auto facts = crypto::ReadCertificate(pem); facts.ok()) {
      certificates.push_back({name, *std::move(facts)});
    }
  };
  add("this agent's certificate", identity.certificate_pem);
  add("the farm's CA certificate", identity.ca_pem);
  const std::size_t colon = identity.server.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos) {
    std::from_chars(identity.server.data() + colon + 1,
                    identity.server.data() + identity.server.size(), port);
  }
  if (port != 0) {
    std::string host = identity.server.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const auto chain = crypto::FetchPresentedChain(host, port, kProbe);
    if (chain.ok() && !chain->empty()) add("the controller's certificate", chain->front());
  }
  return ClockTrouble(certificates, now);
}

}  // namespace slipway::link
