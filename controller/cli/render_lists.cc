#include <fmt/format.h>

#include "common/rpc/convert.h"
#include "controller/cli/access_words.h"
#include "controller/cli/format.h"
#include "controller/cli/render.h"
#include "controller/cli/render_parameters.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// Seeing comes with everything else.
std::string MayWords(const v1::Application& application, Text t) {
  google::protobuf::RepeatedField<int> operations;
  for (const int operation : application.allowed_operations()) {
    if (operation != v1::OPERATION_VIEW) operations.Add(operation);
  }
  return JoinOperations(operations, t("view", "查看"));
}

std::string CredentialWords(const v1::RepositoryCredential& credential, Text t) {
  std::string words;
  if (credential.access() == v1::REPOSITORY_ACCESS_SSH) {
    words = fmt::format("ssh, {}, {}", credential.fingerprint(),
                        credential.pinned_hosts()
                            ? t("server's key given", "已指定服务器公钥")
                            : t("server's key as first seen", "服务器公钥以首次见到的为准"));
  } else {
    words = fmt::format("https, {}", credential.username());
    if (credential.pinned_hosts()) {
      words += t(", server's authority given", "，已指定服务器证书颁发机构");
    }
  }
  return fmt::format(fmt::runtime(t("{}; set {} by {}", "{}；{} 由 {} 设置")), words,
                     FormatTime(credential.set_at()), credential.set_by());
}

}  // namespace

std::string RenderApplications(const v1::ListApplicationsResponse& applications, const View& view) {
  const Text t = view.text;
  if (applications.applications().empty()) {
    return t("no applications; `slipway apps create` adds one\n",
             "没有应用；用 `slipway apps create` 添加\n");
  }
  Table table({t("APPLICATION", "应用"), t("REPOSITORY", "仓库"), t("DESCRIPTION", "说明"),
               t("YOU MAY", "您可以")});
  for (const v1::Application& application : applications.applications()) {
    table.Add({application.name(), application.repository(), application.description(),
               MayWords(application, t)});
  }
  return table.Render();
}

std::string RenderApplication(const v1::Application& application, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("application", "应用"), application.name());
  facts.Add("id", application.id());
  facts.Add(t("repository", "仓库"), application.repository());
  if (application.has_repository_credential()) {
    facts.Add(t("credential", "仓库凭证"), CredentialWords(application.repository_credential(), t));
  }
  facts.Add(t("description", "说明"), application.description());
  facts.Add(t("requires", "所需标签"), FormatLabels(application.requirements()));
  facts.Add(t("you may", "您可以"), MayWords(application, t));
  facts.Add(t("queue timeout", "排队时限"), FormatSpan(application.queue_timeout()));
  facts.Add(t("created", "创建时间"), FormatTime(application.created_at()));
  return facts.Render();
}

std::string RenderReleases(const v1::ListReleasesResponse& releases, const View& view) {
  const Text t = view.text;
  if (releases.releases().empty()) return t("no releases\n", "没有发布\n");
  Table table({t("RELEASE", "发布"), t("APPLICATION", "应用"), t("PLATFORM", "平台"),
               t("TARGET", "目标"), t("VERSION", "版本"), t("COMMIT", "提交"),
               t("RELEASED", "发布时间"), t("BY", "发布人")});
  for (const v1::Release& release : releases.releases()) {
    table.Add({release.id(), release.application(), release.platform(), release.target(),
               release.version(), release.commit().substr(0, 12), FormatTime(release.released_at()),
               release.released_by()});
  }
  std::string text = table.Render();
  if (!releases.next_page_token().empty()) {
    text += t("… more: --limit N\n", "…… 还有更多：--limit N\n");
  }
  return text;
}

std::string RenderArchived(const v1::Archived& archived, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("application", "应用"), archived.application());
  facts.Add(t("platform", "平台"), archived.platform());
  facts.Add(t("version", "版本"), archived.version());
  facts.Add(t("commit", "提交"), archived.commit());
  AddParameters(facts, archived.parameters(), t);
  facts.Add(t("artifact", "产物"), FormatDigest(archived.manifest()));
  facts.Add(t("files", "文件数"), std::to_string(archived.files()));
  facts.Add(t("size", "大小"), FormatBytes(archived.bytes()));
  facts.Add(t("image", "镜像"), archived.image_digest());
  facts.Add(t("built", "构建时间"), FormatTime(archived.built_at()));
  facts.Add(t("submitted by", "提交人"), archived.submitted_by());
  facts.Add(t("build task", "构建任务"), archived.build_task());
  facts.Add(t("log", "日志"), fmt::format("{}  {}", FormatBytes(archived.log_size()),
                                          FormatDigest(archived.log_root())));
  facts.Add(t("publish", "发布情况"), archived.publish_state());
  if (archived.has_release()) {
    const v1::Release& release = archived.release();
    facts.Add(t("release", "发布"), release.id());
    facts.Add(t("released to", "发布到"),
              fmt::format(fmt::runtime(t("{}, target {}", "{}，目标 {}")), release.platform(),
                          release.target()));
    facts.Add(t("released", "发布时间"), FormatTime(release.released_at()));
    facts.Add(t("released by", "发布人"), release.released_by());
    facts.Add(t("link", "链接"), release.link());
    facts.Add(t("code", "二维码内容"), release.qr_text());
  }
  AddActions(facts, archived.allowed_actions(), view);
  return facts.Render();
}

}  // namespace slipway::cli
