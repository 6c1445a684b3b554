#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "common/base/ids.h"
#include "common/crypto/credential.h"
#include "common/fs/files.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/new_file.h"
#include "controller/cli/platform_key.h"
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

}  // namespace

Outcome SealCredential(Session& session, const SealFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  SLIPWAY_ASSIGN_OR_RETURN(Key key, ReadKey(flags.key_file, t));
  if (const auto bad = CheckPlatformKey(flags.platform, key.bytes.view(), t)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_KEY_FILE",
                     fmt::format("{}: {}", flags.key_file, bad->why), bad->remedy);
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
