#include "common/git/git_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/config/units.h"
#include "common/git/clean_text.h"
#include "common/git/git_secret.h"
#include "common/git/tool_words.h"
#include "common/mask/secret_masker.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace slipway::git {
namespace {

using absl::StatusCode;

bool ContainsAny(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](auto part) { return text.find(part) != std::string_view::npos; });
}

void Replace(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;) {
    text.replace(at, secret.size(), "***");
    at += 3;
  }
}

// All that must not be seen, for SecretMasker, which forgets it.
std::vector<std::string> SecretsOf(const GitCall& call) {
  std::vector<std::string> secrets;
  if (call.credential != nullptr) secrets.emplace_back(call.credential->secret.view());
  if (call.remote != nullptr) {
    secrets.push_back(call.remote->password);
    if (call.remote->password.empty()) secrets.push_back(call.remote->username);
  }
  return secrets;
}

// git's words for people: no secrets, and nothing that steers a terminal or reorders text, for some
// of them are the server's.
std::string CleanWords(std::string text, const GitCall& call) {
  std::vector<std::string> secrets = SecretsOf(call);
  text = mask::SecretMasker(secrets).Mask(text);
  for (std::string& secret : secrets) {
    // Too short for the masker.
    if (secret.size() < mask::kMinSecret) Replace(text, secret);
    explicit_bzero(secret.data(), secret.size());
  }
  std::replace(text.begin(), text.end(), '\r', '\n');
  std::replace(text.begin(), text.end(), '\t', ' ');
  text = CleanText(text, text.size(), TextLines::kMany);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// The line that says most: the first "fatal:" or "error:", else the last line.
std::string MainLine(std::string_view words) {
  // It goes into messages, which headers carry.
  constexpr std::size_t kMaxLine = 300;
  std::string_view best;
  std::string_view rest = words;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.rfind("fatal: ", 0) == 0 || line.rfind("error: ", 0) == 0 ||
        line.rfind("ERROR: ", 0) == 0) {
      return CleanText(line.substr(7), kMaxLine);
    }
    if (!line.empty()) best = line;
  }
  return CleanText(best, kMaxLine);
}

absl::Status Classify(const std::string& words, const GitCall& call) {
  const RepositoryUrl* remote = call.remote;
  const bool own = call.credential != nullptr;
  const std::string& program = call.program;
  const std::string where = remote == nullptr ? "the mirror" : remote->clean;
  const std::string line = MainLine(words);
  const auto error = [&](StatusCode code, std::string_view reason, std::string_view what,
                         std::string_view remedy) {
    return WithToolWords(
        MakeError(code, reason, fmt::format("{} {}: {}", what, where, line), remedy), words);
  };
  if (ContainsAny(words, {"No space left on device", "Disk quota exceeded"})) {
    return error(StatusCode::kResourceExhausted, "DISK_FULL", "no room to fetch",
                 fmt::format("Free space in the {}'s work directory.", program));
  }
  // What a process is told that writes more than prlimit allows.
  if (ContainsAny(words, {"File too large", "died of signal 25"})) {
    return error(StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE", "too much to fetch from",
                 "Make the repository smaller, or let the operator raise the limit.");
  }
  if (ContainsAny(words, {"couldn't find remote ref", "not our ref", "no such remote ref",
                          "unadvertised object"})) {
    return error(StatusCode::kNotFound, "REF_UNKNOWN", "no such ref in",
                 "Check the branch, tag or commit, and that it was pushed.");
  }
  if (ContainsAny(words, {"Authentication failed", "could not read Username",
                          "could not read Password", "Permission denied (publickey",
                          "terminal prompts disabled", "HTTP 401", "HTTP 403", "error: 403"})) {
    return error(
        StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED", "no access to",
        own ? "Set a credential that may read this repository, with `slipway apps "
              "set-repository-credential`."
            : fmt::format("Set one that may with `slipway apps set-repository-credential`, "
                          "or give the {} a key or token that may read this repository.",
                          program));
  }
  if (ContainsAny(words, {"Host key verification failed"})) {
    return error(
        StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE", "cannot reach",
        own ? "Set the credential again with --known-hosts, with the server's present key."
            : fmt::format("Add the repository server's key to known_hosts of the {}'s user.",
                          program));
  }
  if (ContainsAny(words,
                  {"server certificate verification failed", "SSL certificate problem",
                   "does not match target host name", "no alternative certificate subject"})) {
    return error(
        StatusCode::kFailedPrecondition, "REPOSITORY_UNTRUSTED", "nobody vouches for the server of",
        fmt::format("Give its authority's certificate with the credential (`slipway apps "
                    "set-repository-credential`, --ca-file), or let the {}'s machine trust it.",
                    program));
  }
  if (ContainsAny(words, {"transport '", "not allowed"}) && remote != nullptr &&
      ContainsAny(words, {"transport '"})) {
    return error(
        StatusCode::kInvalidArgument, "REPOSITORY_URL_INVALID", "refused to use",
        fmt::format("Use https or ssh, or ask the operator to allow it in the {}'s options.",
                    program));
  }
  if (ContainsAny(words, {"fsck error", "error in object", "hasDotgit", "gitmodules"})) {
    return error(StatusCode::kFailedPrecondition, "REPOSITORY_REFUSED",
                 "objects that git calls unsafe are in",
                 "Run 'git fsck' in the repository and rewrite the commits it names.");
  }
  return error(
      StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE", "cannot fetch",
      fmt::format("Check the repository's URL and the network between the {} and its server.",
                  program));
}

}  // namespace

std::string GitConfigText(bool allow_foreign_owner) {
  std::string text =
      "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\tfsync = none\n"
      "[fetch]\n\tfsckObjects = true\n\trecurseSubmodules = false\n\twriteCommitGraph = false\n"
      "[transfer]\n\tfsckObjects = true\n"
      // Harmless oddities of old tools, found in many honest repositories.
      "[fetch \"fsck\"]\n\tzeroPaddedFilemode = warn\n\tbadTimezone = warn\n\tbadDate = warn\n"
      "\tmissingSpaceBeforeDate = warn\n\tmissingEmail = warn\n\tbadName = warn\n"
      "\tmissingNameBeforeEmail = warn\n\tbadFilemode = warn\n"
      "[submodule]\n\trecurse = false\n"
      "[http]\n\tlowSpeedLimit = 100\n\tlowSpeedTime = 60\n"
      "[gc]\n\tauto = 0\n\tautoDetach = false\n"
      "[advice]\n\tdetachedHead = false\n";
  if (allow_foreign_owner) text += "[safe]\n\tdirectory = *\n";
  return text;
}

absl::Status RunGit(const GitCall& call, const std::string& config_file,
                    const std::string& allowed_protocols,
                    const std::map<std::string, std::string>& environment,
                    const std::stop_token& stop) {
  process::Command command;
  if (call.max_file_bytes > 0) {
    command.argv = {"prlimit", fmt::format("--fsize={}", call.max_file_bytes), "--"};
  }
  command.argv.emplace_back("git");
  command.argv.insert(command.argv.end(), call.arguments.begin(), call.arguments.end());
  command.cwd = "/";
  command.timeout = call.timeout;
  command.max_output = 16 * 1024;
  // Else it would wait for a server that says nothing, with the secret, when nobody ends it any
  // more.
  command.dies_with_caller = true;
  auto& env = command.env;
  env = environment;
  env.try_emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  env.try_emplace("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20");
  env["LC_ALL"] = "C";
  env["GIT_CONFIG_NOSYSTEM"] = "1";
  env["GIT_CONFIG_GLOBAL"] = config_file;
  env["GIT_ATTR_NOSYSTEM"] = "1";
  env["GIT_TERMINAL_PROMPT"] = "0";
  env["GIT_ASKPASS"] = "/bin/false";
  env["SSH_ASKPASS"] = "/bin/false";
  env["GIT_ALLOW_PROTOCOL"] = allowed_protocols;
  env["GIT_NO_REPLACE_OBJECTS"] = "1";
  std::optional<GitSecret> secret;
  if (call.remote != nullptr) {
    SLIPWAY_ASSIGN_OR_RETURN(secret,
                             GitSecret::Make(*call.remote, call.credential, call.known_hosts_file));
    command.files = secret->files();
    std::vector<std::pair<std::string, std::string>> config;
    config.emplace_back("remote.origin.url", call.remote->clean);
    if (!secret->credential_helper().empty()) {
      // Bound to the origin: after a redirection, no other server is given the password.
      config.emplace_back(fmt::format("credential.{}.helper", call.remote->Origin()),
                          secret->credential_helper());
    }
    if (!secret->ca_file().empty()) {
      // It outranks the configuration; a directory would add to it.
      env["GIT_SSL_CAINFO"] = secret->ca_file();
      env.erase("GIT_SSL_CAPATH");
    }
    if (!secret->ssh_command().empty()) {
      env["GIT_SSH_COMMAND"] = secret->ssh_command();
      env["GIT_SSH_VARIANT"] = "ssh";
    }
    env["GIT_CONFIG_COUNT"] = std::to_string(config.size());
    for (std::size_t i = 0; i < config.size(); ++i) {
      env[fmt::format("GIT_CONFIG_KEY_{}", i)] = config[i].first;
      env[fmt::format("GIT_CONFIG_VALUE_{}", i)] = config[i].second;
    }
  }
  const auto result = process::Run(command, stop);
  SLIPWAY_RETURN_IF_ERROR(result.status());
  if (result->Succeeded()) return absl::OkStatus();
  const std::string words = CleanWords(result->err, call);
  switch (result->end) {
    case process::Result::End::kStopped: return absl::CancelledError("canceled while fetching");
    case process::Result::End::kTimedOut:
      return WithToolWords(
          MakeError(StatusCode::kDeadlineExceeded, "REPOSITORY_TIMEOUT",
                    fmt::format("fetching {} took longer than {}",
                                call.remote == nullptr ? "" : call.remote->clean,
                                config::FormatDuration(call.timeout)),
                    fmt::format("Try again, or raise the fetch timeout in the {}'s options.",
                                call.program)),
          words);
    case process::Result::End::kSignaled:
      return MakeError(StatusCode::kInternal, "GIT_CRASHED",
                       fmt::format("git was ended by signal {}", result->signal));
    case process::Result::End::kExited: break;
  }
  return Classify(words, call);
}

}  // namespace slipway::git
