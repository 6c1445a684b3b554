#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "controller/cli/render.h"

namespace slipway::cli {
namespace {

// "" for what is not shown, or not known to this program.
std::string NameOf(v1::Action action, Text t) {
  switch (action) {
    case v1::ACTION_CANCEL: return t("cancel", "取消");
    case v1::ACTION_READ_LOG: return t("read the log", "查看日志");
    case v1::ACTION_SUBMIT_AGAIN: return t("submit again", "再次提交");
    case v1::ACTION_DOWNLOAD: return t("download the product", "下载产物");
    case v1::ACTION_RESOLVE_PUBLISHED: return t("say that it is published", "认定为已发布");
    case v1::ACTION_RESOLVE_NOT_PUBLISHED: return t("say that it is not published", "认定为未发布");
    case v1::ACTION_PROBE: return t("have the platform asked", "向平台查询");
    default: return "";
  }
}

}  // namespace

void AddActions(Facts& facts, const google::protobuf::RepeatedPtrField<v1::ObjectAction>& actions,
                const View& view) {
  const Text t = view.text;
  std::string now;
  // By what blocks them, in the order of the answer.
  std::vector<std::pair<std::string, std::string>> blocked;
  for (const v1::ObjectAction& action : actions) {
    const std::string name = NameOf(action.action(), t);
    if (name.empty()) continue;
    std::string* names = &now;
    if (action.has_blocked()) {
      const std::string& why = action.blocked().message();
      auto it = std::find_if(blocked.begin(), blocked.end(),
                             [&](const auto& one) { return one.second == why; });
      if (it == blocked.end()) it = blocked.emplace(blocked.end(), "", why);
      names = &it->first;
    }
    *names += (names->empty() ? "" : t(", ", "、")) + name;
  }
  facts.Add(t("you may", "您可以"), now);
  const char* label = t("not now", "暂不可");
  for (const auto& [names, why] : blocked) {
    facts.Add(label, fmt::format(fmt::runtime(t("{}: {}", "{}：{}")), names, why));
    label = "";
  }
}

}  // namespace slipway::cli
