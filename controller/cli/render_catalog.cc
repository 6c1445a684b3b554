#include <fmt/format.h>
#include <fmt/ranges.h>

#include "controller/cli/catalog_commands.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"
#include "controller/domain/channel.h"

namespace slipway::cli {

namespace {

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, ", "));
}

void AddChannel(const v1::Target& target, const View& view, Facts& facts) {
  const Text t = view.text;
  const v1::Channel& channel = target.channel();
  facts.Add(t("server", "服务器"), channel.url());
  facts.Add(t("encryption", "加密"), channel.plain() ? t("none", "无") : "");
  facts.Add(t("user", "账号"), channel.user());
  const char* const secret = channel.has_secret() ? t("set", "已设置") : t("none", "无");
  if (!channel.user().empty()) facts.Add(t("password", "密码"), secret);
  if (target.platform() == domain::kWebhookPlatform || domain::IsRobotPlatform(target.platform())) {
    facts.Add(t("key", "密钥"), secret);
  }
  facts.Add(t("from", "发件人"), channel.from());
  facts.Add(t("to", "收件人"), Joined(channel.to()));
  facts.Add(t("may reach", "可另外指定"), Joined(channel.may_reach()));
  facts.Add(t("language", "语言"), channel.language());
  if (channel.has_attach_up_to()) {
    facts.Add(t("attached up to", "附件上限"), FormatBytes(channel.attach_up_to()));
  }
  facts.Add(t("links valid for", "链接有效期"), FormatSpan(channel.valid_for()));
}

}  // namespace

std::string RenderTargets(const v1::ListTargetsResponse& targets, const View& view) {
  const Text t = view.text;
  if (targets.targets().empty()) {
    return t("no targets that you may use\n", "没有您可以使用的目标\n");
  }
  Table table({t("PLATFORM", "平台"), t("TARGET", "目标"), t("ENVIRONMENT", "环境"),
               t("IMAGE", "镜像"), t("NETWORK", "网络"), t("DEADLINE", "时限"),
               t("REQUIRES", "所需标签")});
  for (const v1::Target& target : targets.targets()) {
    table.Add({target.platform(), target.name(), target.environment(), target.image(),
               target.network(), FormatSpan(target.deadline()),
               FormatLabels(target.requirements())});
  }
  return table.Render();
}

std::string RenderTarget(const v1::Target& target, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("target", "目标"), target.platform() + "/" + target.name());
  facts.Add(t("environment", "环境"), target.environment());
  facts.Add(t("image", "镜像"), target.image());
  facts.Add(t("network", "网络"), target.network());
  facts.Add(t("proxy", "代理服务器"), target.proxy());
  facts.Add(t("own CA", "自有 CA"), target.ca_pem().empty() ? "" : t("yes", "是"));
  if (target.has_channel()) AddChannel(target, view, facts);
  facts.Add(t("deadline", "时限"), FormatSpan(target.deadline()));
  facts.Add(t("requires", "所需标签"), FormatLabels(target.requirements()));
  facts.Add(t("created", "创建时间"), FormatTime(target.created_at()));
  return facts.Render();
}

std::string RenderEnvironments(const v1::ListEnvironmentsResponse& environments, const View& view) {
  const Text t = view.text;
  if (environments.environments().empty()) {
    return t("no environments that you may use\n", "没有您可以使用的环境\n");
  }
  Table table({t("ENVIRONMENT", "环境"), t("ORDER", "顺序"), t("DESCRIPTION", "说明")});
  for (const v1::Environment& environment : environments.environments()) {
    table.Add({environment.name(), std::to_string(environment.order()), environment.description()});
  }
  return table.Render();
}

std::string RenderEnvironment(const v1::Environment& environment, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("environment", "环境"), environment.name());
  facts.Add(t("description", "说明"), environment.description());
  facts.Add(t("order", "顺序"), std::to_string(environment.order()));
  facts.Add(t("created", "创建时间"), FormatTime(environment.created_at()));
  return facts.Render();
}

}  // namespace slipway::cli
