#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "controller/cli/access_commands.h"
#include "controller/cli/catalog_commands.h"
#include "controller/cli/client_options.h"
#include "controller/cli/commands.h"

namespace slipway::cli {

// The command line's grammar, where its values go, and what each command does. Confined to one
// thread.
class Grammar {
 public:
  explicit Grammar(Text text);
  // CLI11 keeps pointers to the members.
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  CLI::App& app() { return app_; }
  [[nodiscard]] const ClientOptions& client() const { return client_; }
  [[nodiscard]] OutputFormat format() const;

  // REQUIRES: the arguments were parsed.
  [[nodiscard]] Outcome Run(Session& session) const;

 private:
  using Action = std::function<Outcome(Session&)>;

  // Commands of commands are added after the command they belong to; the last one parsed counts.
  CLI::App* Command(CLI::App& parent, const char* name, const char* english, const char* chinese,
                    Action action = nullptr);
  template <typename Value>
  CLI::Option* Option(CLI::App* command, const char* name, Value& value, const char* english,
                      const char* chinese) {
    return command->add_option(name, value, t_(english, chinese));
  }
  CLI::Option* Flag(CLI::App* command, const char* name, bool& value, const char* english,
                    const char* chinese) {
    return command->add_flag(name, value, t_(english, chinese));
  }

  // For --help and completion: what may be said. LimitTo refuses everything else, too.
  static std::string OneOf(const std::vector<std::string>& words);
  static void LimitTo(CLI::Option* option, const std::vector<std::string>& words);

  void AddGlobals();
  // grammar_runs.cc
  void AddRuns();
  void AddTasks();
  void AddWaiting(CLI::App* command, std::vector<std::string>& require, std::string& queue_timeout);
  void AddPatience(CLI::App* command, std::string& value);
  void AddCancel(CLI::App& parent);
  void AddLimit(CLI::App* command, int& value);
  // grammar_farm.cc
  void AddArchive();
  void AddPackages(CLI::App& archive);
  void AddEncryption(CLI::App* command, EncryptionFlags& flags);
  void AddPackaging(CLI::App* command, PackagingFlags& flags);
  void AddReleases();
  void AddName(CLI::App* command, std::string& value);
  void AddAgents();
  void AddAll(CLI::App* command);
  CLI::App* AddChange(CLI::App& parent, const char* name, v1::AgentAction action,
                      const char* english, const char* chinese);
  void AddFarm();
  void AddRepositoryCredential(CLI::App& apps);
  void AddVersions();
  void AddImages(CLI::App& agents);
  // grammar_catalog.cc
  void AddCatalog();
  void AddFiles(CLI::App* command);
  void AddTargets();
  void AddChannelFlags(CLI::App* command);
  void AddEnvironments();
  // grammar_audit.cc
  void AddAudit();
  // grammar_access.cc
  void AddLogin();
  void AddContexts();
  void AddAccounts();
  void AddProfile(CLI::App* command);
  void AddGroups();
  void AddGrantCommands();
  void AddGrantScope(CLI::App* command);
  void AddApiTokens();
  void AddCompletion();

  const Text t_;
  CLI::App app_{t_("Builds and publishes with a Slipway farm.", "使用 Slipway 农场构建与发布。")};
  std::vector<std::pair<CLI::App*, Action>> actions_;

  ClientOptions client_;
  std::string language_;
  std::string output_;
  bool json_ = false;
  SubmitFlags submit_;
  PublishProductFlags publish_product_;
  SubmitAgainFlags submit_again_;
  RunScriptFlags run_script_;
  FollowFlags follow_;
  TasksFlags tasks_;
  CancelFlags cancel_;
  LogsFlags logs_;
  ArchiveListFlags list_;
  ArchiveGetFlags get_;
  PackageFlags package_;
  OpenPackageFlags open_package_;
  QrFlags qr_;
  CreateApplicationFlags create_;
  SetApplicationFlags set_;
  RepositoryCredentialFlags repository_credential_;
  SealFlags seal_;
  ListVersionsFlags versions_;
  PrepareImagesFlags prepare_;
  ListImagesFlags images_;
  ResolveFlags resolve_;
  std::string close_page_;
  std::string script_task_;
  ChangeAgentsFlags change_;
  AuditListFlags audit_;
  AuditExportFlags audit_export_;
  std::string audit_expect_;
  CatalogFlags catalog_;
  TargetFlags target_;
  TargetSecretFlags target_secret_;
  EnvironmentFlags environment_;
  LoginFlags login_;
  AccountFlags account_;
  GroupFlags group_;
  GrantFlags grant_;
  ListGrantsFlags grants_;
  TokenFlags token_;
  std::string id_;
  std::string lifetime_;
  bool all_ = false;
  bool sure_ = false;
};

}  // namespace slipway::cli
