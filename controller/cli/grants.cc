#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/status/status.h"
#include "controller/cli/access_commands.h"
#include "controller/cli/access_words.h"
#include "controller/cli/all_pages.h"
#include "controller/cli/render_access.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

using Accounts = v1::AccountService::Stub;

constexpr std::string_view kGroup = "group:";
// How often a change of members is made anew when somebody else changed the group meanwhile.
constexpr int kChangeTries = 4;

absl::Status BadFlags(const char* message, const char* remedy) {
  return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS", message, remedy));
}

// What the flags say, once per application.
absl::StatusOr<std::vector<v1::Grant>> GrantsOf(const GrantFlags& flags, Text t) {
  v1::Grant grant;
  if (flags.subject.starts_with(kGroup)) {
    grant.set_group(flags.subject.substr(kGroup.size()));
  } else {
    grant.set_account(flags.subject);
  }
  if (!flags.preset.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto operations, ParsePreset(flags.preset, t));
    for (const v1::Operation operation : operations) grant.add_operations(operation);
  }
  for (const std::string& word : flags.operations) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto operation, ParseOperation(word, t));
    const auto& there = grant.operations();
    if (std::find(there.begin(), there.end(), operation) == there.end()) {
      grant.add_operations(operation);
    }
  }
  grant.set_environment(flags.environment);
  grant.set_pages(flags.pages);
  if (flags.all_applications) return std::vector{grant};
  std::vector<v1::Grant> grants;
  for (const std::string& application : flags.applications) {
    grant.set_application(application);
    grants.push_back(grant);
  }
  if (grants.empty()) {
    return BadFlags(t("no application was named", "没有指定应用"),
                    t("Give --app APP, or --all-apps.", "请给出 --app 应用，或 --all-apps。"));
  }
  return grants;
}

Outcome Change(Session& session, const v1::ChangeGrantsRequest& request,
               const std::string& sentence) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ChangeGrantsResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->accounts(), &Accounts::ChangeGrants, request, response));
  session.PrintDone(response, sentence);
  return ExitCode::kOk;
}

// What the group shall be. Without it among them: a new one.
v1::AccountGroup Changed(const v1::ListGroupsResponse& groups, const GroupFlags& flags) {
  v1::AccountGroup group;
  group.set_name(flags.name);
  for (const v1::AccountGroup& there : groups.groups()) {
    if (there.name() == flags.name) group = there;
  }
  if (flags.description) group.set_description(*flags.description);
  std::set<std::string> members(group.members().begin(), group.members().end());
  if (flags.replace) members = {flags.members.begin(), flags.members.end()};
  members.insert(flags.add.begin(), flags.add.end());
  for (const std::string& name : flags.remove) members.erase(name);
  members.erase("");
  group.mutable_members()->Assign(members.begin(), members.end());
  return group;
}

}  // namespace

Outcome ListGrants(Session& session, const ListGrantsFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListGrantsRequest request;
  if (flags.subject.starts_with(kGroup)) {
    request.set_group(flags.subject.substr(kGroup.size()));
  } else {
    request.set_account(flags.subject);
  }
  request.set_application(flags.application);
  v1::ListGrantsResponse all;
  SLIPWAY_RETURN_IF_ERROR(
      ReadAllPages(*client, client->accounts(), &Accounts::ListGrants, request, all));
  session.Print(all, RenderGrants);
  return ExitCode::kOk;
}

Outcome AddGrants(Session& session, const GrantFlags& flags) {
  const Text t = session.text;
  if (flags.operations.empty() && flags.preset.empty()) {
    return BadFlags(t("no operation was named", "没有指定操作"),
                    t("Give --op OPERATION, or --preset developer or product.",
                      "请给出 --op 操作，或 --preset developer、product。"));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants, GrantsOf(flags, t));
  v1::ChangeGrantsRequest request;
  request.mutable_add()->Assign(grants.begin(), grants.end());
  return Change(session, request,
                fmt::format(fmt::runtime(t("granted; `slipway grants list {}` shows all of it\n",
                                           "已授权；用 `slipway grants list {}` 查看\n")),
                            OneLine(flags.subject)));
}

Outcome RemoveGrants(Session& session, const GrantFlags& flags) {
  const Text t = session.text;
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants, GrantsOf(flags, t));
  v1::ChangeGrantsRequest request;
  request.mutable_remove()->Assign(grants.begin(), grants.end());
  return Change(session, request,
                fmt::format(fmt::runtime(t("taken back; `slipway grants list {}` shows the rest\n",
                                           "已收回；用 `slipway grants list {}` 查看其余授权\n")),
                            OneLine(flags.subject)));
}

Outcome ListGroups(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListGroupsResponse response;
  SLIPWAY_RETURN_IF_ERROR(ReadAllPages(*client, client->accounts(), &Accounts::ListGroups,
                                       v1::ListGroupsRequest(), response));
  session.Print(response, RenderGroups);
  return ExitCode::kOk;
}

Outcome SetGroup(Session& session, const GroupFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  absl::Status status;
  for (int i = 0; i < kChangeTries; ++i) {
    v1::ListGroupsResponse groups;
    SLIPWAY_RETURN_IF_ERROR(ReadAllPages(*client, client->accounts(), &Accounts::ListGroups,
                                         v1::ListGroupsRequest(), groups));
    v1::PutGroupRequest request;
    *request.mutable_group() = Changed(groups, flags);
    v1::AccountGroup group;
    status = client->Call(client->accounts(), &Accounts::PutGroup, request, group);
    if (status.ok()) {
      session.Print(group, RenderGroup);
      return ExitCode::kOk;
    }
    if (status.code() != absl::StatusCode::kAborted) break;
  }
  return status;
}

Outcome DeleteGroup(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::DeleteGroupRequest request;
  request.set_name(name);
  v1::DeleteGroupResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->accounts(), &Accounts::DeleteGroup, request, response));
  session.PrintDone(
      response, fmt::format(fmt::runtime(session.text("group {} is gone, and its grants with it\n",
                                                      "组 {} 及其授权已删除\n")),
                            OneLine(name)));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
