#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/cli/commands.h"
#include "slipway/v1/catalog.pb.h"

// The commands about what the farm has: targets, environments, and the catalog as YAML.
namespace slipway::cli {

struct CatalogFlags {
  std::vector<std::string> files;  // "-": standard input
  bool dry_run = false;
  bool prune = false;
};
// Makes the farm be as the files say, and prints what it did.
[[nodiscard]] Outcome ApplyCatalog(Session& session, const CatalogFlags& flags);
// Only prints what that would be; kDifferent when there is something.
[[nodiscard]] Outcome DiffCatalog(Session& session, const CatalogFlags& flags);
// Prints the whole catalog as YAML that ApplyCatalog reads, whatever the output format.
[[nodiscard]] Outcome ExportCatalog(Session& session);

struct TargetFlags {
  std::string name;  // "PLATFORM/NAME"; "PLATFORM" is short for "PLATFORM/PLATFORM"
  // Of a change: what is absent stays.
  std::optional<std::string> environment;
  std::optional<std::string> image;
  std::optional<std::string> network;
  std::optional<std::string> proxy;
  std::optional<std::string> ca_file;  // "": none
  std::string deadline;                // duration
  std::vector<std::string> require;    // KEY=VALUE; replaces all
  bool require_nothing = false;
  // Of channels.
  std::optional<std::string> server;  // of mails
  std::optional<std::string> url;     // of a webhook or robot
  std::optional<std::string> user;
  std::optional<std::string> from;
  std::vector<std::string> to;         // replaces all
  std::vector<std::string> may_reach;  // replaces all
  std::optional<std::string> language;
  std::string attach_up_to;  // size
  std::string valid_for;     // duration
  bool plain = false;
};
[[nodiscard]] Outcome ListTargets(Session& session, const std::string& platform);
[[nodiscard]] Outcome ShowTarget(Session& session, const std::string& name);
[[nodiscard]] Outcome CreateTarget(Session& session, const TargetFlags& flags);
[[nodiscard]] Outcome SetTarget(Session& session, const TargetFlags& flags);
[[nodiscard]] Outcome DeleteTarget(Session& session, const std::string& name);
struct TargetSecretFlags {
  std::string name;
  std::string secret_file;  // "-": a line of standard input
  bool none = false;
};
[[nodiscard]] Outcome SetTargetSecret(Session& session, const TargetSecretFlags& flags);

struct EnvironmentFlags {
  std::string name;
  std::optional<std::string> description;
  std::optional<std::int32_t> order;
};
[[nodiscard]] Outcome ListEnvironments(Session& session);
[[nodiscard]] Outcome ShowEnvironment(Session& session, const std::string& name);
[[nodiscard]] Outcome CreateEnvironment(Session& session, const EnvironmentFlags& flags);
[[nodiscard]] Outcome SetEnvironment(Session& session, const EnvironmentFlags& flags);
[[nodiscard]] Outcome DeleteEnvironment(Session& session, const std::string& name);

[[nodiscard]] std::string RenderTargets(const v1::ListTargetsResponse& targets, const View& view);
[[nodiscard]] std::string RenderTarget(const v1::Target& target, const View& view);
[[nodiscard]] std::string RenderEnvironments(const v1::ListEnvironmentsResponse& environments,
                                             const View& view);
[[nodiscard]] std::string RenderEnvironment(const v1::Environment& environment, const View& view);

}  // namespace slipway::cli
