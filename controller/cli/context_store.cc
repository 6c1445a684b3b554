#include "controller/cli/context_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <limits>
#include <mutex>

#include "common/config/document.h"
#include "common/config/yaml_writer.h"
#include "common/crypto/key_file.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

namespace stdfs = std::filesystem;

constexpr std::string_view kEnding = ".yaml";
// ReadSecretFile reads no more.
constexpr std::size_t kMaxBytes = 64 * 1024;
constexpr Duration kLockPause = std::chrono::milliseconds(20);

std::int64_t Seconds(WallTime time) { return ToUnixMicros(time) / 1'000'000; }
WallTime FromSeconds(std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

std::string Write(const Context& context) {
  config::YamlWriter yaml;
  const auto add = [&yaml](const char* key, const std::string& value) {
    if (value.empty()) return;
    yaml.Key(key);
    yaml.String(value);
  };
  const auto add_time = [&yaml](const char* key, WallTime value) {
    yaml.Key(key);
    yaml.Plain(std::to_string(Seconds(value)));
  };
  yaml.BeginMap();
  add("server", context.server);
  add("account", context.account);
  add("api_token", context.api_token);
  if (context.login) {
    yaml.Key("login");
    yaml.BeginMap();
    add("access_token", context.login->access_token);
    add_time("access_expires_at", context.login->access_expires_at);
    add("refresh_token", context.login->refresh_token);
    add_time("refresh_expires_at", context.login->refresh_expires_at);
    yaml.EndMap();
  }
  add("ca", context.ca_pem);
  yaml.EndMap();
  return yaml.Finish();
}

absl::StatusOr<Context> Read(const std::string& name, const std::string& path,
                             std::string_view bytes) {
  SLIPWAY_ASSIGN_OR_RETURN(auto document, config::Document::Parse(bytes, path));
  config::Section root = document.Root();
  constexpr std::int64_t kEver = std::numeric_limits<std::int32_t>::max();
  Context context;
  context.name = name;
  context.server = root.RequireString("server");
  context.ca_pem = root.RequireString("ca");
  context.account = root.GetString("account", "");
  context.api_token = root.GetString("api_token", "");
  if (auto login = root.FindSection("login")) {
    context.login = StoredLogin{
        .access_token = login->RequireString("access_token"),
        .access_expires_at = FromSeconds(login->GetInt("access_expires_at", 0, 0, kEver)),
        .refresh_token = login->RequireString("refresh_token"),
        .refresh_expires_at = FromSeconds(login->GetInt("refresh_expires_at", 0, 0, kEver))};
  }
  SLIPWAY_RETURN_IF_ERROR(document.Finish());
  return context;
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return ErrnoError(errno, fmt::format("make {}", path));
}

}  // namespace

std::vector<std::string> ConfigFolders(const Environment& environment) {
  std::vector<std::string> folders;
  // The standard has relative ones ignored.
  const std::string xdg = environment("XDG_CONFIG_HOME");
  if (xdg.starts_with('/')) folders.push_back(xdg + "/slipway");
  const std::string home = environment("HOME");
  if (!home.empty()) folders.push_back(home + "/.config/slipway");
  return folders;
}

absl::StatusOr<ContextStore> ContextStore::Find(const Environment& environment, Text text) {
  const std::vector<std::string> folders = ConfigFolders(environment);
  if (folders.empty()) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "NOT_CONFIGURED",
        text("there is no home directory to keep logins in", "没有可以保存登录信息的主目录"),
        text("Set HOME or XDG_CONFIG_HOME, or give --server, --ca and "
             "--token-file.",
             "请设置 HOME 或 XDG_CONFIG_HOME，或给出 --server、--ca 和 "
             "--token-file。")));
  }
  return ContextStore(folders.front(), text);
}

bool ContextStore::IsName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                  c == '-';
         });
}

std::string ContextStore::FileOf(const std::string& name) const {
  return directory_ + "/contexts/" + name + std::string(kEnding);
}

std::vector<std::string> ContextStore::Names() const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : stdfs::directory_iterator(directory_ + "/contexts", ignored)) {
    std::string name = entry.path().filename().string();
    if (!name.ends_with(kEnding)) continue;
    name.resize(name.size() - kEnding.size());
    if (IsName(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status ContextStore::NoSuch(const std::string& name) const {
  return UsageError(MakeError(
      absl::StatusCode::kNotFound, "NO_SUCH_CONTEXT",
      fmt::format(fmt::runtime(text_("there is no context '{}'", "没有上下文 '{}'")),
                  OneLine(name)),
      text_("`slipway context list` lists them; `slipway login --context NAME` makes one.",
            "用 `slipway context list` 查看；用 `slipway login --context 名称` 新建。")));
}

absl::StatusOr<Context> ContextStore::Load(const std::string& name) const {
  if (!IsName(name)) return NoSuch(name);
  const std::string path = FileOf(name);
  const auto bytes = crypto::ReadSecretFile(path);
  if (bytes.status().code() == absl::StatusCode::kNotFound) return NoSuch(name);
  if (!bytes.ok()) return UsageError(bytes.status());
  auto context = Read(name, path, bytes->view());
  if (!context.ok()) return UsageError(context.status());
  return context;
}

absl::Status ContextStore::MakeDirectories() const {
  SLIPWAY_RETURN_IF_ERROR(MakeDirectory(stdfs::path(directory_).parent_path().string()));
  SLIPWAY_RETURN_IF_ERROR(MakeDirectory(directory_));
  return MakeDirectory(directory_ + "/contexts");
}

absl::Status ContextStore::Save(const Context& context) const {
  const std::string text = Write(context);
  if (text.size() > kMaxBytes) {
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "NO_CLIENT_FILE",
                  text_("the CA file is too large to be kept in a context",
                        "CA 文件过大，无法保存到上下文中"),
                  text_("Give a file with the farm's CA alone.", "请给出只含该农场 CA 的文件。")));
  }
  SLIPWAY_RETURN_IF_ERROR(MakeDirectories());
  return crypto::WriteSecretFile(FileOf(context.name), text);
}

absl::Status ContextStore::Delete(const std::string& name) const {
  if (!IsName(name) || unlink(FileOf(name).c_str()) != 0) {
    if (!IsName(name) || errno == ENOENT) return NoSuch(name);
    return ErrnoError(errno, FileOf(name));
  }
  unlink((directory_ + "/contexts/." + name + ".lock").c_str());
  if (Current() == name) unlink((directory_ + "/current-context").c_str());
  return absl::OkStatus();
}

std::string ContextStore::Current() const {
  const auto bytes = crypto::ReadSecretFile(directory_ + "/current-context");
  if (!bytes.ok()) return "";
  const std::string name(bytes->view().substr(0, bytes->view().find('\n')));
  return IsName(name) ? name : "";
}

absl::Status ContextStore::Use(const std::string& name) const {
  SLIPWAY_RETURN_IF_ERROR(Load(name).status());
  return crypto::WriteSecretFile(directory_ + "/current-context", name + "\n");
}

absl::StatusOr<FileLock> ContextStore::Lock(const std::string& name,
                                            const std::stop_token& stop) const {
  SLIPWAY_RETURN_IF_ERROR(MakeDirectories());
  const std::string path = directory_ + "/contexts/." + name + ".lock";
  FileLock file(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, path);
  std::mutex mu;
  std::condition_variable_any pause;
  std::unique_lock lock(mu);
  // A blocking flock(2) could not be given up when the person presses Ctrl-C.
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return ErrnoError(errno, path);
    pause.wait_for(lock, stop, kLockPause, [] { return false; });
    if (stop.stop_requested()) return InterruptedError();
  }
  return file;
}

}  // namespace slipway::cli
