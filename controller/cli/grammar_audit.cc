#include "controller/cli/grammar.h"

namespace slipway::cli {

void Grammar::AddAudit() {
  CLI::App* audit =
      Command(app_, "audit", "Who did what, and what was refused", "审计：谁做了什么，哪些被拒绝");
  CLI::App* list =
      Command(*audit, "list", "Lists entries, newest first", "列出审计记录，最新的在前",
              [this](Session& s) { return ListAudit(s, audit_); });
  Option(list, "--actor", audit_.actor, "By this account, or agent:ID",
         "限定操作者（账号或 agent:ID）");
  Option(list, "--action", audit_.action, "Actions that begin so: create_, set_agent_mode …",
         "限定操作名的开头：create_、set_agent_mode 等");
  Option(list, "--kind", audit_.kind, "On objects of this kind: run, task, agent …",
         "限定对象类型：run、task、agent 等");
  Option(list, "--object", audit_.object, "On this object: its id, or name of an application",
         "限定对象：ID，应用则为名称");
  Option(list, "--since", audit_.since, "From 2h or 7d ago, or 2024-05-01 [12:30[:05]], on",
         "起始时间：2h、7d（之前）或 2024-05-01 [12:30[:05]]");
  Option(list, "--until", audit_.until, "Before such a time", "截止时间，写法同上");
  Flag(list, "--refused", audit_.refused, "Only what was refused", "仅被拒绝的");
  AddLimit(list, audit_.limit);

  CLI::App* verify = Command(*audit, "verify", "Checks that no entry was changed, removed or moved",
                             "检查审计记录未被修改、删除或调换",
                             [this](Session& s) { return VerifyAudit(s, audit_expect_); });
  Option(verify, "--expect", audit_expect_, "SEQUENCE:HASH that an earlier check or export said",
         "之前检查或导出时给出的 序号:哈希");

  CLI::App* save = Command(*audit, "export", "Writes entries and hashes as JSON lines",
                           "将审计记录及哈希导出为 JSON 行",
                           [this](Session& s) { return ExportAudit(s, audit_export_); });
  Option(save, "FILE", audit_export_.file, "File to write, or - for standard output",
         "输出文件，- 表示标准输出")
      ->required();
  Option(save, "--since", audit_export_.since, "From such a time on (as of list)",
         "起始时间，写法同 list");
  Flag(save, "--force", audit_export_.force, "Replaces an existing file", "覆盖已有文件");
}

}  // namespace slipway::cli
