#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "common/base/ids.h"
#include "common/crypto/credential.h"
#include "common/crypto/private_key.h"
#include "common/fs/files.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/new_file.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

constexpr std::size_t kMaxKeyBytes = 64 * 1024;

struct Key {
  crypto::SecretBytes bytes;
  bool open_to_others = false;
};

absl::StatusOr<Key> ReadKey(const std::string& path, Text text) {
  // O_NONBLOCK: a FIFO in the place of the file must not hang the program.
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return ErrnoError(errno, path);
  struct stat facts {};
  if (fstat(file.get(), &facts) != 0) return ErrnoError(errno, path);
  const auto refuse = [&](const char* why) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_KEY_FILE",
                     fmt::format("{}: {}", path, why));
  };
  if (!S_ISREG(facts.st_mode)) return refuse(text("not a regular file", "不是普通文件"));
  Key key;
  key.open_to_others = (facts.st_mode & 077) != 0;
  key.bytes = crypto::SecretBytes(kMaxKeyBytes + 1);
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size,
                           fs::ReadFull(file.get(), {key.bytes.data(), key.bytes.size()}, path));
  if (size == 0) return refuse(text("the file is empty", "文件为空"));
  if (size > kMaxKeyBytes) return refuse(text("larger than 64 KiB", "超过 64 KiB"));
  key.bytes.Truncate(size);
  return key;
}

// Empty: the platform can be asked with this key. Of platforms that are not known here nothing is
// said.
std::string WhyUnusable(const std::string& platform, std::string_view key, Text text) {
  if (platform != "weixin") return "";
  switch (crypto::ClassifyPrivateKey(key)) {
    case crypto::PrivateKeyKind::kRsa: return "";
    case crypto::PrivateKeyKind::kOtherAlgorithm:
      return text("a private key, but not an RSA key, which weixin's upload key is",
                  "是私钥，但不是 RSA 密钥；微信的上传密钥是 RSA 密钥");
    case crypto::PrivateKeyKind::kEncrypted:
      return text("the private key is behind a password, which nobody could type at a publish",
                  "私钥带有密码，发布时无人能输入");
    case crypto::PrivateKeyKind::kPublic:
      return text("a public key or certificate, not the private key", "是公钥或证书，不是私钥");
    case crypto::PrivateKeyKind::kNone: break;
  }
  return text("no private key in PEM form (-----BEGIN RSA PRIVATE KEY-----), or a damaged one",
              "不是 PEM 格式的私钥（-----BEGIN RSA PRIVATE KEY-----），或已损坏");
}

}  // namespace

Outcome SealCredential(Session& session, const SealFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  SLIPWAY_ASSIGN_OR_RETURN(Key key, ReadKey(flags.key_file, t));
  if (const std::string why = WhyUnusable(flags.platform, key.bytes.view(), t); !why.empty()) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_KEY_FILE",
        fmt::format("{}: {}", flags.key_file, why),
        t("Give the code upload key that the WeChat console handed out "
          "(private.<app id>.key), unchanged.",
          "请使用微信公众平台下发的代码上传密钥文件（private.<app id>.key），不要改动。"));
  }
  if (key.open_to_others) {
    session.err << fmt::format(
        fmt::runtime(t("warning: others on this machine may use {}; chmod 600 {}\n",
                       "警告：本机其他用户可以访问 {}；请执行 chmod 600 {}\n")),
        flags.key_file, flags.key_file);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetApplicationRequest request;
  request.set_name(flags.application);
  v1::Application application;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->applications(), &v1::ApplicationService::Stub::GetApplication, request, application));
  v1::Farm farm;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->applications(), &v1::ApplicationService::Stub::GetFarm, v1::GetFarmRequest(), farm));
  crypto::Credential credential;
  credential.kind = flags.platform + "-upload-key";
  credential.app_id = flags.app_id;
  credential.secret = std::move(key.bytes);
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::string sealed,
      crypto::SealCredential({FarmId(farm.id()), ApplicationId(application.id()), flags.platform},
                             credential, farm.sealing_certificate()));
  if (flags.out_file.empty()) {
    session.out << sealed;
    session.out.flush();
  } else {
    SLIPWAY_ASSIGN_OR_RETURN(NewFile file, NewFile::Create(flags.out_file));
    SLIPWAY_RETURN_IF_ERROR(file.Write(sealed));
    SLIPWAY_RETURN_IF_ERROR(file.Finish(flags.force, t));
  }
  Facts facts("  ");
  facts.Add(t("farm", "农场"), farm.id());
  facts.Add(t("application", "应用"), fmt::format("{} ({})", application.name(), application.id()));
  facts.Add(t("platform", "平台"), flags.platform);
  facts.Add(t("app id there", "平台应用 ID"), flags.app_id);
  facts.Add(t("written to", "写入"), flags.out_file);
  session.err << t("sealed; only this farm opens it, and only for:\n",
                   "已密封；仅以下农场可打开，且仅用于：\n")
              << facts.Render();
  return ExitCode::kOk;
}

}  // namespace slipway::cli
