#include "controller/cli/client_options.h"

#include <fmt/format.h>

#include <filesystem>

#include "common/config/document.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

absl::StatusOr<ClientOptions> Load(const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(auto document, config::Document::Load(path));
  config::Section root = document.Root();
  const auto below = std::filesystem::absolute(path).parent_path();
  const auto file = [&](const char* key) {
    const std::string name = root.GetString(key, "");
    return name.empty() ? name : (below / name).string();
  };
  ClientOptions options;
  options.server = root.GetString("server", "");
  options.ca_file = file("ca");
  options.token_file = file("token_file");
  SLIPWAY_RETURN_IF_ERROR(document.Finish());
  return options;
}

// The file to read; empty: there is none.
std::string FindConfig(const std::string& flag, const Environment& environment) {
  if (!flag.empty()) return flag;
  if (std::string named = environment("SLIPWAY_CONFIG"); !named.empty()) return named;
  std::error_code ignored;
  const std::string home = environment("HOME");
  if (!home.empty()) {
    std::string own = home + "/.config/slipway/client.yaml";
    if (std::filesystem::exists(own, ignored)) return own;
  }
  const char* system = "/etc/slipway/client.yaml";
  return std::filesystem::exists(system, ignored) ? system : "";
}

}  // namespace

absl::StatusOr<ClientOptions> ResolveClientOptions(ClientOptions flags,
                                                   const std::string& config_file,
                                                   const Environment& environment, Text text) {
  if (flags.server.empty() || flags.ca_file.empty() || flags.token_file.empty()) {
    if (const std::string path = FindConfig(config_file, environment); !path.empty()) {
      auto file = Load(path);
      if (!file.ok()) return UsageError(file.status());
      if (flags.server.empty()) flags.server = file->server;
      if (flags.ca_file.empty()) flags.ca_file = file->ca_file;
      if (flags.token_file.empty()) flags.token_file = file->token_file;
    }
  }
  const auto missing = [&]() -> const char* {
    if (flags.server.empty()) return text("the controller's address", "控制器地址");
    if (flags.ca_file.empty()) return text("the controller's CA certificate", "控制器的 CA 证书");
    if (flags.token_file.empty()) return text("an API token", "API 令牌");
    return nullptr;
  }();
  if (missing == nullptr) return flags;
  return UsageError(MakeError(
      absl::StatusCode::kInvalidArgument, "NOT_CONFIGURED",
      fmt::format(fmt::runtime(text("{} is not configured", "没有配置{}")), missing),
      text(
          "Give --server HOST:PORT --ca FILE --token-file FILE, or write server, ca and token_file "
          "into ~/.config/slipway/client.yaml.",
          "请给出 --server 主机:端口 --ca 文件 --token-file 文件，或把 server、ca、token_file 写入 "
          "~/.config/slipway/client.yaml。")));
}

}  // namespace slipway::cli
