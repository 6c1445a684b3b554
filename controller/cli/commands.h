#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/packaging.h"
#include "controller/cli/session.h"
#include "controller/cli/stream_retry.h"
#include "slipway/v1/agent_admin.pb.h"

// What the program can do: one function per command, with its flags in a struct. Each prints to the
// session and gives the exit code; an error is printed by whoever called.
namespace slipway::cli {

using Outcome = absl::StatusOr<ExitCode>;

struct SubmitFlags {
  std::string application;
  std::vector<std::string> platforms;
  std::vector<std::string> refs;  // a run for each; none: the default branch
  std::string version;
  std::string description;
  bool publish = false;
  bool preview = false;
  std::string target;
  std::vector<std::string> require;  // KEY=VALUE
  std::int32_t priority = 0;
  std::string group;
  std::vector<std::string> parameters;  // NAME=VALUE
  std::vector<std::string> channels;    // PLATFORM/NAME[=ADDRESS,…]
  PackagingFlags packaging;
  std::string after_script;  // a task
  bool no_cache = false;
  std::string queue_timeout;  // duration or "none"; empty: as the application says
  std::string request_id;     // empty: a new one
  bool follow = false;
  std::string patience;  // duration; empty: the default
};
[[nodiscard]] Outcome Submit(Session& session, const SubmitFlags& flags);

struct PublishProductFlags {
  std::string product;
  bool preview = false;
  std::string target;
  std::vector<std::string> channels;  // as of SubmitFlags
  PackagingFlags packaging;
  std::string description;
  std::vector<std::string> require;  // KEY=VALUE
  std::string queue_timeout;         // as of SubmitFlags
  std::string request_id;            // empty: a new one
  bool follow = false;
  std::string patience;  // duration; empty: the default
};
[[nodiscard]] Outcome PublishProduct(Session& session, const PublishProductFlags& flags);

struct SubmitAgainFlags {
  std::string run;
  bool only_failed = false;
  std::string request_id;  // empty: a new one
  bool follow = false;
  std::string patience;  // duration; empty: the default
};
[[nodiscard]] Outcome SubmitAgain(Session& session, const SubmitAgainFlags& flags);

struct RunScriptFlags {
  std::string file;
  std::string application;
  std::string ref;
  std::string platform;
  std::vector<std::string> require;     // KEY=VALUE
  std::vector<std::string> parameters;  // NAME=VALUE
  std::string queue_timeout;            // as of SubmitFlags
  std::string request_id;               // empty: a new one
  bool follow = false;
  std::string patience;  // duration; empty: the default
};
[[nodiscard]] Outcome RunScript(Session& session, const RunScriptFlags& flags);
// Prints what a task of kind script ran.
[[nodiscard]] Outcome ShowScript(Session& session, const std::string& task);

struct FollowFlags {
  std::string run;
  std::string patience;
};
[[nodiscard]] Outcome Follow(Session& session, const FollowFlags& flags);

struct TasksFlags {
  std::string application;
  std::string run;
  std::vector<std::string> states;
  int limit = 50;
};
[[nodiscard]] Outcome ListTasks(Session& session, const TasksFlags& flags);
[[nodiscard]] Outcome ShowTask(Session& session, const std::string& id);
[[nodiscard]] Outcome ExplainTask(Session& session, const std::string& id);
struct CancelFlags {
  std::string task;
  std::string reason;
  bool wait = false;     // until the task has ended
  std::string patience;  // duration; empty: the default
};
[[nodiscard]] Outcome CancelTask(Session& session, const CancelFlags& flags);

struct LogsFlags {
  std::string task;
  bool follow = false;
  std::int64_t attempt = 0;
  std::uint64_t offset = 0;
  std::string patience;
};
[[nodiscard]] Outcome Logs(Session& session, const LogsFlags& flags);

// `all`: also those that have left the farm.
[[nodiscard]] Outcome ListAgents(Session& session, bool all);
[[nodiscard]] Outcome ShowAgent(Session& session, const std::string& agent);
struct ChangeAgentsFlags {
  // Names, ids or patterns.
  std::vector<std::string> agents;
  std::string reason;
  std::string timeout;   // duration; empty: none
  bool wait = false;     // until they hold no task
  std::string patience;  // duration; empty: the default
};
[[nodiscard]] Outcome ChangeAgents(Session& session, v1::AgentAction action,
                                   const ChangeAgentsFlags& flags);
[[nodiscard]] Outcome CreateJoinToken(Session& session, const std::string& lifetime);
// `all`: also those that cannot be used any more.
[[nodiscard]] Outcome ListJoinTokens(Session& session, bool all);
[[nodiscard]] Outcome RevokeJoinToken(Session& session, const std::string& id);

struct PrepareImagesFlags {
  std::vector<std::string> images;
  std::vector<std::string> agents;  // none: all
  bool no_wait = false;
  std::string patience;  // duration; empty: the default
};
// Waits until every agent that is there has the images, or failed to get them.
[[nodiscard]] Outcome PrepareImages(Session& session, const PrepareImagesFlags& flags);
struct ListImagesFlags {
  std::string agent;
  std::string forget;  // an image: removes its orders instead of listing
};
[[nodiscard]] Outcome ListImages(Session& session, const ListImagesFlags& flags);

[[nodiscard]] Outcome ListApplications(Session& session);
[[nodiscard]] Outcome ShowApplication(Session& session, const std::string& name);
// What its builds can be told, at the default branch.
[[nodiscard]] Outcome ShowParameters(Session& session, const std::string& application);
struct CreateApplicationFlags {
  std::string name;
  std::string repository;
  std::string description;
  std::vector<std::string> require;  // KEY=VALUE
  std::string queue_timeout;         // duration or "none"
};
[[nodiscard]] Outcome CreateApplication(Session& session, const CreateApplicationFlags& flags);
struct SetApplicationFlags {
  std::string name;
  // What is absent stays.
  std::optional<std::string> description;
  std::optional<std::string> repository;
  std::vector<std::string> require;  // replaces all
  bool require_nothing = false;
  std::string queue_timeout;
};
[[nodiscard]] Outcome SetApplication(Session& session, const SetApplicationFlags& flags);

struct RepositoryCredentialFlags {
  std::string application;
  // Exactly one of the three ways.
  std::string https_user;
  std::string password_file;  // with https_user; "-": standard input
  std::string ssh_key_file;
  std::string known_hosts_file;  // with ssh_key_file; may be empty
  std::string ca_file;           // with https_user; may be empty
  bool none = false;
};
// Seals it here; the secret leaves this program only sealed.
[[nodiscard]] Outcome SetRepositoryCredential(Session& session,
                                              const RepositoryCredentialFlags& flags);

struct ListVersionsFlags {
  std::string application;
  // Both or none: all.
  bool tags = false;
  bool branches = false;
  std::string match;
  int limit = 50;
};
// kFailed when nothing is known because the repository cannot be read.
[[nodiscard]] Outcome ListVersions(Session& session, const ListVersionsFlags& flags);
// `application`: empty for all.
[[nodiscard]] Outcome ShowOverview(Session& session, const std::string& application);

struct ArchiveListFlags {
  std::string application;
  std::string platform;
  int limit = 50;
};
[[nodiscard]] Outcome ListArchive(Session& session, const ArchiveListFlags& flags);
[[nodiscard]] Outcome ShowArchived(Session& session, const std::string& name);
struct ArchiveGetFlags {
  std::string name;
  // Exactly one of them.
  std::string dir;
  std::string tar;
  std::string zip;
  bool force = false;
};
[[nodiscard]] Outcome GetArchived(Session& session, const ArchiveGetFlags& flags);
struct PackageFlags {
  std::string name;
  std::string out_file;  // empty: as the controller calls it
  std::string form = "zip";
  EncryptionFlags encryption;
  bool force = false;
};
[[nodiscard]] Outcome Package(Session& session, const PackageFlags& flags);
struct OpenPackageFlags {
  std::string file;
  std::string out_file;  // empty: without the ".cms"
  std::string key_file;
  std::string password_file;
  std::string sha256;  // hex; empty: not compared
  bool force = false;
};
[[nodiscard]] Outcome OpenPackage(Session& session, const OpenPackageFlags& flags);

struct QrFlags {
  std::string name;
  // The platform's own code, not that of the release.
  bool platform = false;
  // File for the platform's own image; implies `platform`.
  std::string image;
  std::string png;
  std::string svg;
  bool ascii = false;
  bool text = false;
};
[[nodiscard]] Outcome ShowQr(Session& session, const QrFlags& flags);

struct ResolveFlags {
  std::string task;
  // Exactly one of them.
  bool published = false;
  bool not_published = false;
  bool probe = false;
  // With `published`; empty: as built, and none.
  std::string version;
  std::string link;
  std::string reason;
  // With `probe`: stays until it has answered.
  bool follow = false;
};
[[nodiscard]] Outcome ResolvePublish(Session& session, const ResolveFlags& flags);
// Ends the time of the page that a publish to a channel made.
[[nodiscard]] Outcome ClosePage(Session& session, const std::string& name);

struct AuditListFlags {
  std::string actor;
  std::string action;
  std::string kind;
  std::string object;
  std::string since;  // "2h", "2024-05-01 12:30"; empty: any
  std::string until;
  bool refused = false;
  int limit = 50;
};
[[nodiscard]] Outcome ListAudit(Session& session, const AuditListFlags& flags);
// `expect`: "SEQUENCE:HASH" or empty. kFailed, with the row, when the chain is broken.
[[nodiscard]] Outcome VerifyAudit(Session& session, const std::string& expect);
struct AuditExportFlags {
  std::string file;  // "-": standard output
  std::string since;
  bool force = false;
};
[[nodiscard]] Outcome ExportAudit(Session& session, const AuditExportFlags& flags);

struct SealFlags {
  std::string application;
  std::string platform;
  std::string app_id;
  std::string key_file;
  std::string out_file;  // empty: standard output
  bool force = false;
};
[[nodiscard]] Outcome SealCredential(Session& session, const SealFlags& flags);

[[nodiscard]] Outcome ShowVersion(Session& session);

// For --param: NAME=VALUE texts into a message's map; a usage error names the one that is not.
[[nodiscard]] absl::Status ReadParameters(
    const std::vector<std::string>& texts, Text text,
    google::protobuf::Map<std::string, std::string>& parameters);
// For --require: KEY=VALUE texts into a message's map; a usage error names the one that is not.
[[nodiscard]] absl::Status ReadLabels(const std::vector<std::string>& texts, Text text,
                                      google::protobuf::Map<std::string, std::string>& labels);
// For --queue-timeout: a duration, or "none" for zero; a usage error otherwise.
[[nodiscard]] absl::StatusOr<google::protobuf::Duration> ReadQueueTimeout(const std::string& text);

// For --patience: the default when `text` is empty; a usage error when it is no duration.
[[nodiscard]] absl::StatusOr<RetryOptions> RetryFor(const std::string& text);

}  // namespace slipway::cli
