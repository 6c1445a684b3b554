#include "controller/cli/audit_grammar.h"

namespace slipway::cli {

void AuditGrammar::AddTo(Grammar& grammar, CLI::App& app) {
  CLI::App* audit = grammar.Command(app, "audit", "Who did what, and what was refused",
                                    "审计：谁做了什么，哪些被拒绝");
  CLI::App* list =
      grammar.Command(*audit, "list", "Lists entries, newest first", "列出审计记录，最新的在前",
                      [this](Session& s) { return ListAudit(s, list_); });
  grammar.Option(list, "--actor", list_.actor, "By this account, or agent:ID",
                 "限定操作者（账号或 agent:ID）");
  grammar.Option(list, "--action", list_.action, "Actions that begin so: create_, set_agent_mode …",
                 "限定操作名的开头：create_、set_agent_mode 等");
  grammar.Option(list, "--kind", list_.kind, "On objects of this kind: run, task, agent …",
                 "限定对象类型：run、task、agent 等");
  grammar.Option(list, "--object", list_.object,
                 "On this object: its id, or name of an application", "限定对象：ID，应用则为名称");
  grammar.Option(list, "--since", list_.since, "From 2h or 7d ago, or 2024-05-01 [12:30[:05]], on",
                 "起始时间：2h、7d（之前）或 2024-05-01 [12:30[:05]]");
  grammar.Option(list, "--until", list_.until, "Before such a time", "截止时间，写法同上");
  grammar.Flag(list, "--refused", list_.refused, "Only what was refused", "仅被拒绝的");
  grammar.AddLimit(list, list_.limit);

  CLI::App* verify = grammar.Command(
      *audit, "verify", "Checks that no entry was changed, removed or moved",
      "检查审计记录未被修改、删除或调换", [this](Session& s) { return VerifyAudit(s, expect_); });
  grammar.Option(verify, "--expect", expect_, "SEQUENCE:HASH that an earlier check or export said",
                 "之前检查或导出时给出的 序号:哈希");

  CLI::App* save = grammar.Command(*audit, "export", "Writes entries and hashes as JSON lines",
                                   "将审计记录及哈希导出为 JSON 行",
                                   [this](Session& s) { return ExportAudit(s, export_); });
  grammar
      .Option(save, "FILE", export_.file, "File to write, or - for standard output",
              "输出文件，- 表示标准输出")
      ->required();
  grammar.Option(save, "--since", export_.since, "From such a time on (as of list)",
                 "起始时间，写法同 list");
  grammar.Flag(save, "--force", export_.force, "Replaces an existing file", "覆盖已有文件");
}

}  // namespace slipway::cli
