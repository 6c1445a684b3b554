#include <fmt/format.h>

#include "controller/cli/format.h"
#include "controller/cli/render.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// "mode=draining, why=new kernel"
std::string DetailsText(const v1::AuditEntry& entry) {
  std::string text;
  for (const v1::AuditDetail& detail : entry.details()) {
    if (detail.value().empty()) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", detail.name(), detail.value());
  }
  return text;
}

}  // namespace

std::string RenderAudit(const v1::ListAuditEntriesResponse& entries, const View& view) {
  const Text t = view.text;
  if (entries.entries().empty()) return t("no such entries\n", "没有符合条件的审计记录\n");
  Table table({t("ENTRY", "序号"), t("TIME", "时间"), t("WHO", "操作者"), t("FROM", "来源"),
               t("ACTION", "操作"), t("OBJECT", "对象"), t("OUTCOME", "结果"),
               t("DETAILS", "详情")});
  for (const v1::AuditEntry& entry : entries.entries()) {
    table.Add({std::to_string(entry.sequence()), FormatTime(entry.at()), entry.actor(),
               entry.from(), entry.action(),
               entry.object().empty() ? entry.subject()
                                      : fmt::format("{} {}", entry.object(), entry.subject()),
               entry.reason().empty() ? t("done", "完成")
                                      : fmt::format("{} {}", t("refused", "拒绝"), entry.reason()),
               DetailsText(entry)});
  }
  std::string text = table.Render();
  if (!entries.next_page_token().empty()) {
    text += t("… more: --limit N, --until TIME\n", "…… 还有更多：--limit N、--until 时间\n");
  }
  return text;
}

}  // namespace slipway::cli
