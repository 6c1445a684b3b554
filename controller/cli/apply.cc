#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <variant>

#include "common/base/ids.h"
#include "common/status/status.h"
#include "controller/cli/catalog/catalog_file.h"
#include "controller/cli/catalog/catalog_text.h"
#include "controller/cli/catalog/plan.h"
#include "controller/cli/catalog/unified_diff.h"
#include "controller/cli/catalog_commands.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

using catalog::Change;
using Action = Change::Action;

constexpr std::size_t kMostBytes = 4 * 1024 * 1024;

absl::StatusOr<std::string> ReadRegularFile(const std::string& path) {
  std::error_code unreadable;
  // Reading a directory as a stream throws.
  if (std::filesystem::is_directory(path, unreadable)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "", path + " is a directory");
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes(kMostBytes + 1, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (in.bad() || (bytes.empty() && !in.eof())) {
    return MakeError(absl::StatusCode::kNotFound, "", path + " cannot be read");
  }
  return bytes;
}

// Every mistake of every file at once.
absl::StatusOr<catalog::Catalog> ReadWanted(Session& session, const CatalogFlags& flags) {
  catalog::CatalogReader reader(ReadRegularFile);
  std::string mistakes;
  for (const std::string& file : flags.files) {
    const auto text = file == "-" ? session.ReadInput(kMostBytes + 1) : ReadRegularFile(file);
    const std::string folder = std::filesystem::path(file).parent_path().string();
    const absl::Status read =
        text.ok() ? reader.Add(*text, file, folder.empty() ? "." : folder) : text.status();
    if (!read.ok()) mistakes += (mistakes.empty() ? "" : "\n") + std::string(read.message());
  }
  if (mistakes.empty()) return reader.catalog();
  return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID", mistakes));
}

absl::StatusOr<catalog::Catalog> ReadStored(const Client& client) {
  catalog::Catalog stored;
  v1::ListEnvironmentsResponse environments;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.catalog(), &v1::CatalogService::Stub::ListEnvironments,
                                      v1::ListEnvironmentsRequest(), environments));
  stored.environments.assign(environments.environments().begin(),
                             environments.environments().end());
  v1::ListTargetsResponse targets;
  SLIPWAY_RETURN_IF_ERROR(client.Call(client.catalog(), &v1::CatalogService::Stub::ListTargets,
                                      v1::ListTargetsRequest(), targets));
  stored.targets.assign(targets.targets().begin(), targets.targets().end());
  v1::ListApplicationsRequest request;
  do {
    v1::ListApplicationsResponse page;
    SLIPWAY_RETURN_IF_ERROR(client.Call(
        client.applications(), &v1::ApplicationService::Stub::ListApplications, request, page));
    stored.applications.insert(stored.applications.end(), page.applications().begin(),
                               page.applications().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return stored;
}

// Each change is told with the state it was planned for; one made meanwhile refuses it.
class Applier {
 public:
  Applier(const Client& client, const Change& change) : client_(client), change_(change) {}

  absl::Status operator()(const v1::Environment& environment) const {
    using Stub = v1::CatalogService::Stub;
    v1::Environment done;
    if (change_.action == Action::kCreate) {
      v1::CreateEnvironmentRequest request;
      *request.mutable_environment() = environment;
      request.set_request_id(NewUuid());
      return client_.Call(client_.catalog(), &Stub::CreateEnvironment, request, done);
    }
    if (change_.action == Action::kUpdate) {
      v1::UpdateEnvironmentRequest request;
      *request.mutable_environment() = environment;
      return client_.Call(client_.catalog(), &Stub::UpdateEnvironment, request, done);
    }
    v1::DeleteEnvironmentRequest request;
    request.set_name(environment.name());
    request.set_etag(environment.etag());
    v1::DeleteEnvironmentResponse gone;
    return client_.Call(client_.catalog(), &Stub::DeleteEnvironment, request, gone);
  }

  absl::Status operator()(const v1::Target& target) const {
    using Stub = v1::CatalogService::Stub;
    v1::Target done;
    if (change_.action == Action::kCreate) {
      v1::CreateTargetRequest request;
      *request.mutable_target() = target;
      request.set_request_id(NewUuid());
      return client_.Call(client_.catalog(), &Stub::CreateTarget, request, done);
    }
    if (change_.action == Action::kUpdate) {
      v1::UpdateTargetRequest request;
      *request.mutable_target() = target;
      return client_.Call(client_.catalog(), &Stub::UpdateTarget, request, done);
    }
    v1::DeleteTargetRequest request;
    request.set_platform(target.platform());
    request.set_name(target.name());
    request.set_etag(target.etag());
    v1::DeleteTargetResponse gone;
    return client_.Call(client_.catalog(), &Stub::DeleteTarget, request, gone);
  }

  absl::Status operator()(const v1::Application& application) const {
    using Stub = v1::ApplicationService::Stub;
    v1::Application done;
    if (change_.action == Action::kCreate) {
      v1::CreateApplicationRequest request;
      request.set_name(application.name());
      request.set_repository(application.repository());
      request.set_description(application.description());
      *request.mutable_requirements() = application.requirements();
      if (application.has_queue_timeout()) {
        *request.mutable_queue_timeout() = application.queue_timeout();
      }
      request.set_request_id(NewUuid());
      return client_.Call(client_.applications(), &Stub::CreateApplication, request, done);
    }
    v1::UpdateApplicationRequest request;
    request.set_name(application.name());
    for (const std::string& field : change_.fields) request.mutable_update_mask()->add_paths(field);
    request.set_repository(application.repository());
    request.set_description(application.description());
    *request.mutable_requirements() = application.requirements();
    *request.mutable_queue_timeout() = application.queue_timeout();
    request.set_etag(application.etag());
    return client_.Call(client_.applications(), &Stub::UpdateApplication, request, done);
  }

 private:
  const Client& client_;
  const Change& change_;
};

const char* Word(Action action) {
  switch (action) {
    case Action::kCreate: return "create";
    case Action::kUpdate: return "update";
    case Action::kDelete: return "delete";
  }
  return "";
}

std::string Words(Action action, bool done, Text t) {
  switch (action) {
    case Action::kCreate: return done ? t("created", "已创建") : t("create", "创建");
    case Action::kUpdate: return done ? t("updated", "已更新") : t("update", "更新");
    case Action::kDelete: return done ? t("deleted", "已删除") : t("delete", "删除");
  }
  return "";
}

std::string RenderDiff(const Change& change, const View& view) {
  const Style& style = view.style;
  const auto side = [&](const char* sign, bool there) {
    return style.Bold(fmt::format("{} {}", sign,
                                  there ? change.kind + " " + OneLine(change.name) : "/dev/null")) +
           "\n";
  };
  std::string text = side("---", !change.before.empty()) + side("+++", !change.after.empty());
  for (const auto& line : catalog::UnifiedDiff(change.before, change.after)) {
    const std::string shown = line.sign + OneLine(line.text);
    text += (line.sign == '+'   ? style.Good(shown)
             : line.sign == '-' ? style.Bad(shown)
                                : shown) +
            "\n";
  }
  return text;
}

// What was planned, and how much of it was done, for programs.
void PrintPlan(Session& session, const std::vector<Change>& plan, std::size_t done, bool dry_run) {
  google::protobuf::Struct document;
  auto& fields = *document.mutable_fields();
  fields["dry_run"].set_bool_value(dry_run);
  auto& changes = *fields["changes"].mutable_list_value();
  for (std::size_t i = 0; i < plan.size(); ++i) {
    auto& change = *changes.add_values()->mutable_struct_value()->mutable_fields();
    change["action"].set_string_value(Word(plan[i].action));
    change["kind"].set_string_value(plan[i].kind);
    change["name"].set_string_value(plan[i].name);
    change["before"].set_string_value(plan[i].before);
    change["after"].set_string_value(plan[i].after);
    change["done"].set_bool_value(i < done);
  }
  session.PrintDocument(document);
}

struct Planned {
  const Client* client = nullptr;
  std::vector<Change> changes;
};

absl::StatusOr<Planned> Plan(Session& session, const CatalogFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const catalog::Catalog wanted, ReadWanted(session, flags));
  Planned planned;
  SLIPWAY_ASSIGN_OR_RETURN(planned.client, session.Controller());
  SLIPWAY_ASSIGN_OR_RETURN(const catalog::Catalog stored, ReadStored(*planned.client));
  SLIPWAY_ASSIGN_OR_RETURN(planned.changes, catalog::MakePlan(wanted, stored, flags.prune));
  if (!session.as_document) {
    for (const Change& change : planned.changes) {
      session.out << RenderDiff(change, session.OutView());
    }
    if (planned.changes.empty()) {
      session.out << session.text("no differences\n", "没有差异\n");
    }
  }
  return planned;
}

}  // namespace

Outcome DiffCatalog(Session& session, const CatalogFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Planned planned, Plan(session, flags));
  if (session.as_document) PrintPlan(session, planned.changes, 0, true);
  return planned.changes.empty() ? ExitCode::kOk : ExitCode::kDifferent;
}

Outcome ApplyCatalog(Session& session, const CatalogFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Planned planned, Plan(session, flags));
  absl::Status failed;
  std::size_t done = 0;
  while (!flags.dry_run && failed.ok() && done < planned.changes.size()) {
    const Change& change = planned.changes[done];
    failed = std::visit(Applier(*planned.client, change), change.object);
    if (failed.ok()) ++done;
  }
  if (session.as_document) {
    PrintPlan(session, planned.changes, done, flags.dry_run);
  } else if (!planned.changes.empty()) {
    const Text t = session.text;
    Table table({t("CHANGE", "变更"), t("KIND", "类别"), t("NAME", "名称")});
    for (std::size_t i = 0; i < (flags.dry_run ? planned.changes.size() : done); ++i) {
      const Change& change = planned.changes[i];
      table.Add({Words(change.action, !flags.dry_run, t), change.kind, change.name});
    }
    session.out << "\n" << table.Render();
    if (flags.dry_run) {
      session.out << t("nothing was changed (--dry-run)\n", "未做任何变更（--dry-run）\n");
    }
  }
  if (failed.ok()) return ExitCode::kOk;
  const Change& change = planned.changes[done];
  return WithContext(failed, fmt::format("{} {}", change.kind, change.name));
}

Outcome ExportCatalog(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  SLIPWAY_ASSIGN_OR_RETURN(const catalog::Catalog stored, ReadStored(*client));
  session.out << catalog::TextOf(stored);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
