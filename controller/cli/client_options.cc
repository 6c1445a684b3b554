#include "controller/cli/client_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/config/document.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/token_source.h"

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

// Where nothing names a file; empty: there is none.
std::string FindClientFile(const Environment& environment) {
  std::error_code ignored;
  std::vector<std::string> folders = ConfigFolders(environment);
  folders.emplace_back("/etc/slipway");
  for (const std::string& folder : folders) {
    std::string file = folder + "/client.yaml";
    if (std::filesystem::exists(file, ignored)) return file;
  }
  return "";
}

// What the flags leave out is asked of one of them.
struct Source {
  std::string file;
  std::string context;
};

Source ChooseSource(const ClientOptions& flags, const Environment& environment,
                    const absl::StatusOr<ContextStore>& contexts) {
  if (!flags.config.empty()) return {.file = flags.config, .context = ""};
  if (!flags.context.empty()) return {.file = "", .context = flags.context};
  if (std::string file = environment("SLIPWAY_CONFIG"); !file.empty()) {
    return {.file = std::move(file), .context = ""};
  }
  if (std::string context = environment("SLIPWAY_CONTEXT"); !context.empty()) {
    return {.file = "", .context = std::move(context)};
  }
  if (contexts.ok()) {
    if (std::string current = contexts->Current(); !current.empty()) {
      return {.file = "", .context = std::move(current)};
    }
  }
  return {.file = FindClientFile(environment), .context = ""};
}

absl::Status NotConfigured(const char* missing, Text text) {
  return UsageError(
      MakeError(absl::StatusCode::kInvalidArgument, "NOT_CONFIGURED",
                fmt::format(fmt::runtime(text("{} is not configured", "没有配置{}")), missing),
                text("Log in with `slipway login --server HOST:PORT`, or give --server, --ca and "
                     "--token-file.",
                     "请用 `slipway login --server 主机:端口` 登录，或给出 --server、--ca 和 "
                     "--token-file。")));
}

// What is missing in the flags, out of the context. REQUIRES: not all of them are there.
absl::StatusOr<Access> FromContext(const ClientOptions& flags, const ContextStore& contexts,
                                   const std::string& name, Text text) {
  SLIPWAY_ASSIGN_OR_RETURN(Context context, contexts.Load(name));
  Access access;
  access.server = flags.server.empty() ? context.server : flags.server;
  access.ca_pem = context.ca_pem;
  if (!flags.ca_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(
        access.ca_pem, ReadSmallFile(flags.ca_file, text("the CA certificate", "CA 证书"), text));
  }
  if (!flags.token_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(access.api_token, ReadTokenFile(flags.token_file, text));
    return access;
  }
  if (access.ca_pem != context.ca_pem) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
        fmt::format(fmt::runtime(text("the login of '{}' is not for a controller of another CA",
                                      "'{}' 的登录信息不能用于其他 CA 的控制器")),
                    name),
        text("Give --token-file too, or leave out --ca.",
             "请同时给出 --token-file，或去掉 --ca。")));
  }
  if (context.api_token.empty() && !context.login) return NotLoggedIn(name, text);
  access.api_token = context.api_token;
  access.context = name;
  access.contexts.emplace(contexts);
  return access;
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, const char* what, Text text) {
  constexpr std::size_t kLimit = 256 * 1024;
  std::ifstream in(path, std::ios::binary);
  std::string content(kLimit, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (content.empty()) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "NO_CLIENT_FILE",
        fmt::format(fmt::runtime(text("cannot read {} from {}", "无法从 {1} 读取{0}")), what, path),
        text("Check the file's name and that you may read it.",
             "请检查文件名以及您是否有读取权限。")));
  }
  return content;
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path, Text text) {
  SLIPWAY_ASSIGN_OR_RETURN(std::string token,
                           ReadSmallFile(path, text("the API token", "API 令牌"), text));
  token.resize(std::min(token.find_first_of("\r\n"), token.size()));
  // What HTTP/2 forbids in a header would otherwise end the process inside gRPC.
  const bool printable =
      token.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=") ==
      std::string::npos;
  if (token.empty() || !printable) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "NO_TOKEN",
        fmt::format(
            fmt::runtime(text("the first line of {} is no API token", "{} 的第一行不是 API 令牌")),
            path)));
  }
  return token;
}

absl::StatusOr<std::optional<ClientOptions>> LoadClientFile(const std::string& named,
                                                            const Environment& environment) {
  std::string path = named.empty() ? environment("SLIPWAY_CONFIG") : named;
  if (path.empty()) path = FindClientFile(environment);
  if (path.empty()) return std::nullopt;
  auto file = Load(path);
  if (!file.ok()) return UsageError(file.status());
  return *std::move(file);
}

absl::StatusOr<Access> ResolveAccess(const ClientOptions& given, const Environment& environment,
                                     Text text) {
  ClientOptions flags = given;
  if (flags.server.empty() || flags.ca_file.empty() || flags.token_file.empty()) {
    const auto contexts = ContextStore::Find(environment, text);
    const Source source = ChooseSource(flags, environment, contexts);
    if (!source.context.empty()) {
      if (!contexts.ok()) return contexts.status();
      return FromContext(flags, *contexts, source.context, text);
    }
    if (!source.file.empty()) {
      auto file = Load(source.file);
      if (!file.ok()) return UsageError(file.status());
      if (flags.server.empty()) flags.server = file->server;
      if (flags.ca_file.empty()) flags.ca_file = file->ca_file;
      if (flags.token_file.empty()) flags.token_file = file->token_file;
    }
  }
  if (flags.server.empty()) {
    return NotConfigured(text("the controller's address", "控制器地址"), text);
  }
  if (flags.ca_file.empty()) {
    return NotConfigured(text("the controller's CA certificate", "控制器的 CA 证书"), text);
  }
  if (flags.token_file.empty()) {
    return NotConfigured(text("a login or an API token", "登录或 API 令牌"), text);
  }
  Access access;
  access.server = flags.server;
  SLIPWAY_ASSIGN_OR_RETURN(
      access.ca_pem, ReadSmallFile(flags.ca_file, text("the CA certificate", "CA 证书"), text));
  SLIPWAY_ASSIGN_OR_RETURN(access.api_token, ReadTokenFile(flags.token_file, text));
  return access;
}

}  // namespace slipway::cli
