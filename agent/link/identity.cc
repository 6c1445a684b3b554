#include "agent/link/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/config/document.h"
#include "common/crypto/key_file.h"
#include "common/crypto/pki.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::link {
namespace {

constexpr std::size_t kMaxPem = std::size_t{64} << 10;
constexpr std::string_view kCertificate = "-----BEGIN CERTIFICATE-----";

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  const fs::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, path);
  std::string bytes(kMaxPem, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(fd.get(), bytes, path));
  bytes.resize(n);
  return bytes;
}

// Reads the one file of key and certificate, or the two files that agents had which joined before
// it was one.
absl::Status ReadPair(const std::string& data_dir, Identity& identity) {
  auto both = crypto::ReadSecretFile(data_dir + "/identity.pem");
  if (absl::IsNotFound(both.status())) {
    SLIPWAY_ASSIGN_OR_RETURN(identity.key_pem, crypto::ReadSecretFile(data_dir + "/key.pem"));
    SLIPWAY_ASSIGN_OR_RETURN(identity.certificate_pem, ReadPem(data_dir + "/agent.pem"));
    return absl::OkStatus();
  }
  SLIPWAY_RETURN_IF_ERROR(both.status());
  const std::size_t begin = both->view().find(kCertificate);
  if (begin == std::string_view::npos) {
    return MakeError(absl::StatusCode::kInvalidArgument, "",
                     fmt::format("{}/identity.pem holds no certificate", data_dir),
                     "Restore the file, or join anew in an empty data directory.");
  }
  identity.key_pem = crypto::SecretBytes::CopyOf(both->view().substr(0, begin));
  identity.certificate_pem = std::string(both->view().substr(begin));
  return absl::OkStatus();
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

}  // namespace

bool HasIdentity(const std::string& data_dir) {
  struct stat st {};
  return stat((data_dir + "/agent.yaml").c_str(), &st) == 0;
}

absl::Status SaveIdentity(const std::string& data_dir, const Identity& identity) {
  SLIPWAY_RETURN_IF_ERROR(SaveRenewed(data_dir, identity));
  // It is public; the durable, atomic writer of secrets serves it as well.
  SLIPWAY_RETURN_IF_ERROR(crypto::WriteSecretFile(data_dir + "/ca.pem", identity.ca_pem));
  std::string text = fmt::format("server: {}\nagent: {}\nfarm: {}\nname: {}\n",
                                 Quoted(identity.server), Quoted(identity.agent.value()),
                                 Quoted(identity.farm.value()), Quoted(identity.name));
  if (!identity.server_name.empty()) {
    text += fmt::format("server_name: {}\n", Quoted(identity.server_name));
  }
  return crypto::WriteSecretFile(data_dir + "/agent.yaml", text);
}

absl::Status SaveRenewed(const std::string& data_dir, const Identity& identity) {
  const std::string_view key = identity.key_pem.view();
  crypto::SecretBytes both(key.size() + identity.certificate_pem.size());
  std::copy(key.begin(), key.end(), both.data());
  std::copy(identity.certificate_pem.begin(), identity.certificate_pem.end(),
            both.data() + key.size());
  return crypto::WriteSecretFile(data_dir + "/identity.pem", both.view());
}

Identity Identity::Copy() const {
  return {.server = server,
          .server_name = server_name,
          .agent = agent,
          .farm = farm,
          .name = name,
          .certificate_pem = certificate_pem,
          .ca_pem = ca_pem,
          .key_pem = crypto::SecretBytes::CopyOf(key_pem.view())};
}

absl::StatusOr<Identity> LoadIdentity(const std::string& data_dir) {
  if (!HasIdentity(data_dir)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_JOINED",
                     fmt::format("{} holds no agent of any farm", data_dir),
                     "Run: slipway-agent join HOST:PORT --token TOKEN --data-dir DIR");
  }
  SLIPWAY_ASSIGN_OR_RETURN(auto document, config::Document::Load(data_dir + "/agent.yaml"));
  config::Section root = document.Root();
  Identity identity;
  identity.server = root.RequireString("server");
  identity.server_name = root.GetString("server_name", "");
  identity.agent = AgentId(root.RequireString("agent"));
  identity.farm = FarmId(root.RequireString("farm"));
  identity.name = root.RequireString("name");
  SLIPWAY_RETURN_IF_ERROR(document.Finish());
  SLIPWAY_ASSIGN_OR_RETURN(identity.ca_pem, ReadPem(data_dir + "/ca.pem"));
  SLIPWAY_RETURN_IF_ERROR(ReadPair(data_dir, identity));
  SLIPWAY_RETURN_IF_ERROR(
      crypto::CheckKeyMatches(identity.key_pem.view(), identity.certificate_pem));
  return identity;
}

}  // namespace slipway::link
