#include "controller/cli/farm_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <vector>

#include "common/base/digest.h"
#include "common/crypto/pki.h"
#include "common/crypto/tls_probe.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

constexpr std::uint16_t kUsualPort = 7443;
constexpr Duration kTimeout = std::chrono::seconds(10);

struct HostPort {
  std::string host;
  std::uint16_t port = kUsualPort;
};

// An address of IPv6 stands in brackets.
std::optional<HostPort> Split(const std::string& server) {
  HostPort result;
  const std::size_t bracket = server.rfind(']');
  const std::size_t colon = server.rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  std::string host = has_port ? server.substr(0, colon) : server;
  if (has_port) {
    const char* begin = server.data() + colon + 1;
    const char* end = server.data() + server.size();
    const auto [stop, error] = std::from_chars(begin, end, result.port);
    if (error != std::errc() || stop != end || result.port == 0) return std::nullopt;
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return std::nullopt;
  }
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '/' && c != '[' && c != ']';
  });
  if (host.empty() || !plain) return std::nullopt;
  result.host = std::move(host);
  return result;
}

absl::Status NoAddress(const std::string& server, Text text) {
  return UsageError(
      MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                fmt::format(fmt::runtime(text("'{}' is not HOST:PORT", "'{}' 不是 主机:端口")),
                            OneLine(server)),
                text("Give the controller's gRPC address, for example farm.example.org:7443.",
                     "请给出控制器的 gRPC 地址，例如 farm.example.org:7443。")));
}

std::optional<Sha256Digest> ParseFingerprint(std::string text) {
  if (text.starts_with("sha256:")) text.erase(0, 7);
  text.erase(std::remove(text.begin(), text.end(), ':'), text.end());
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return Sha256Digest::Parse(text);
}

absl::Status NotTheFarm(const std::string& server, Text text) {
  return ControllerError(MakeError(
      absl::StatusCode::kUnavailable, "WRONG_FARM",
      fmt::format(
          fmt::runtime(text("{} is not the farm with that CA, or somebody sits in between; "
                            "it was told nothing",
                            "{} 不是该 CA 对应的农场，或连接被中间人截获；未向其发送任何信息")),
          server),
      text("Check the address and the fingerprint.", "请检查地址和指纹。")));
}

}  // namespace

absl::StatusOr<std::string> ServerAddress(const std::string& server, Text text) {
  const auto split = Split(server);
  if (!split) return NoAddress(server, text);
  const bool v6 = split->host.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), split->host, split->port);
}

absl::StatusOr<std::string> LearnCa(Session& session, const std::string& server,
                                    const std::string& fingerprint) {
  const Text t = session.text;
  const auto split = Split(server);
  if (!split) return NoAddress(server, t);
  std::optional<Sha256Digest> wanted;
  if (!fingerprint.empty()) {
    wanted = ParseFingerprint(fingerprint);
    if (!wanted) {
      return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                                  t("--ca-fingerprint is no SHA-256 in hexadecimal",
                                    "--ca-fingerprint 不是十六进制的 SHA-256")));
    }
  } else if (!session.can_ask()) {
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "NOT_CONFIGURED",
                  t("the controller's CA certificate is not known", "不知道控制器的 CA 证书"),
                  t("Give --ca FILE (the controller's ca.pem), or --ca-fingerprint sha256:….",
                    "请给出 --ca 文件（控制器的 ca.pem），或 --ca-fingerprint sha256:…。")));
  }
  auto chain = crypto::FetchPresentedChain(split->host, split->port, kTimeout);
  if (!chain.ok()) return ControllerError(chain.status());
  if (chain->empty()) return NotTheFarm(server, t);
  for (const std::string& pem : *chain) {
    if (!wanted) break;
    SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(pem));
    if (facts.fingerprint == *wanted) return pem;
  }
  if (wanted) return NotTheFarm(server, t);
  SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(chain->back()));
  Facts shown("  ");
  shown.Add(t("controller", "控制器"), server);
  shown.Add(t("its CA", "CA"), facts.common_name);
  shown.Add(t("fingerprint", "指纹"), facts.fingerprint.ToString());
  session.err << t("this farm is not known here yet:\n", "首次连接该农场：\n") << shown.Render()
              << t("An admin of the farm can tell you the fingerprint of its CA.\n",
                   "请向农场管理员核对其 CA 的指纹。\n");
  session.err.flush();
  SLIPWAY_ASSIGN_OR_RETURN(const bool yes,
                           session.Confirm(t("Is it the same? [y/N] ", "是否一致？[y/N] "), ""));
  if (yes) return chain->back();
  return NotTheFarm(server, t);
}

}  // namespace slipway::cli
