#include "controller/cli/render_overview.h"

#include <fmt/format.h>

#include "common/rpc/grpc_status.h"
#include "controller/cli/access_words.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

std::string KindWord(v1::VersionKind kind, Text t) {
  return kind == v1::VERSION_KIND_TAG ? t("tag", "标签") : t("branch", "分支");
}

// "weixin 1.4, web": what is built of it.
std::string BuiltWords(const v1::Version& version) {
  std::string words;
  for (const v1::BuiltVersion& built : version.built()) {
    if (!words.empty()) words += ", ";
    words += built.platform();
    if (!built.version().empty()) words += " " + built.version();
  }
  return words;
}

std::string ActionWords(const v1::AllowedAction& action, Text t) {
  google::protobuf::RepeatedField<int> one;
  one.Add(action.operation());
  std::string words = JoinOperations(one, t("view", "查看"));
  std::string targets;
  for (const v1::PublishTarget& target : action.targets()) {
    if (!targets.empty()) targets += ", ";
    targets += target.platform() == target.name() ? target.name()
                                                  : target.platform() + "/" + target.name();
  }
  if (!action.environment().empty()) words += " [" + action.environment() + "]";
  if (!targets.empty()) words += " → " + targets;
  if (action.has_blocked()) {
    words += fmt::format(fmt::runtime(t(" (not now: {})", "（暂不可用：{}）")),
                         action.blocked().message());
  }
  return words;
}

std::string StateWords(const v1::RepositoryState& repository, Text t) {
  std::string words = repository.has_fetched_at()
                          ? fmt::format(fmt::runtime(t("read {}", "读取于 {}")),
                                        FormatTime(repository.fetched_at()))
                          : std::string(t("not read yet", "尚未读取"));
  if (repository.fetching()) words += t(", being read", "，正在读取");
  if (repository.has_problem()) words += ": " + repository.problem().message();
  return words;
}

}  // namespace

std::string RenderVersions(const v1::ListVersionsResponse& versions, const View& view) {
  const Text t = view.text;
  if (versions.versions().empty()) {
    if (versions.repository().has_problem()) return "";
    return versions.repository().has_fetched_at()
               ? t("no versions\n", "没有版本\n")
               : t("the repository is being read; ask again in a moment\n",
                   "正在读取仓库，请稍后重试\n");
  }
  Table table({t("VERSION", "版本"), t("KIND", "类型"), t("COMMIT", "提交"), t("TIME", "时间"),
               t("AUTHOR", "作者"), t("BUILT", "已构建"), t("SUBJECT", "说明")});
  for (const v1::Version& version : versions.versions()) {
    table.Add({version.name() + (version.is_default() ? " *" : ""), KindWord(version.kind(), t),
               version.commit().substr(0, 12), FormatTime(version.committed_at()), version.author(),
               BuiltWords(version), version.subject()});
  }
  std::string text = table.Render();
  if (!versions.next_page_token().empty()) {
    text += t("… more: --limit N\n", "…… 还有更多：--limit N\n");
  }
  return text;
}

std::string RenderOverview(const v1::Overview& overview, const View& view) {
  const Text t = view.text;
  if (overview.applications().empty()) {
    return t("no applications that you may see\n", "没有您可见的应用\n");
  }
  std::string text;
  for (const v1::ApplicationOverview& application : overview.applications()) {
    if (!text.empty()) text += "\n";
    text += OneLine(application.name()) + "\n";
    Facts facts("  ");
    facts.Add(t("description", "说明"), application.description());
    facts.Add(t("repository", "仓库"), StateWords(application.repository(), t));
    std::string platforms;
    for (const v1::DeclaredPlatform& platform : application.platforms()) {
      platforms += (platforms.empty() ? "" : ", ") + platform.name();
    }
    if (application.has_platforms_problem()) platforms = application.platforms_problem().message();
    facts.Add(t("platforms", "平台"), platforms);
    std::string parameters;
    for (const v1::BuildParameter& parameter : application.build_parameters()) {
      parameters += (parameters.empty() ? "" : ", ") + parameter.name();
    }
    facts.Add(t("parameters", "参数"), parameters);
    for (const v1::AllowedAction& action : application.allowed_actions()) {
      if (action.operation() == v1::OPERATION_VIEW) continue;
      facts.Add(t("you may", "您可以"), ActionWords(action, t));
    }
    for (const v1::Version& version : application.versions()) {
      facts.Add(t("version", "版本"),
                fmt::format("{} {}{} {}", version.name(), version.commit().substr(0, 12),
                            version.built().empty() ? "" : " ✓", version.subject()));
    }
    text += facts.Render();
  }
  return text;
}

std::string RenderRepositoryProblem(const v1::RepositoryState& repository, const View& view) {
  return RenderError(rpc::FromCallError(repository.problem()), view);
}

}  // namespace slipway::cli
