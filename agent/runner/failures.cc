#include "agent/runner/failures.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/check.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using protocol::FailureClass;

struct Row {
  std::string_view reason;
  FailureClass klass;
  std::string_view remedy;
  std::string_view remedy_zh;
};

constexpr std::array kTable = {
    Row{reason::kScriptFailed, FailureClass::kBuild,
        "Mend what the script's last lines name, commit and submit again.",
        "请按脚本最后几行的提示修改代码，提交后重新构建。"},
    Row{reason::kScriptNotStarted, FailureClass::kBuild,
        "Check build.script and build.image in slipway.yaml: the image needs /bin/sh.",
        "请检查 slipway.yaml 的 build.script 与 build.image：镜像中必须有 /bin/sh。"},
    Row{reason::kRunTimeout, FailureClass::kTimeout,
        "Make the build faster, or raise build.timeout in slipway.yaml.",
        "请加快构建，或调大 slipway.yaml 的 build.timeout。"},
    Row{reason::kNoOutputTimeout, FailureClass::kTimeout,
        "Let the script print what it does, or raise build.no_output_timeout in slipway.yaml.",
        "请让脚本输出进度，或调大 slipway.yaml 的 build.no_output_timeout。"},
    Row{reason::kMemoryLimit, FailureClass::kPolicy,
        "Raise build.limits.memory in slipway.yaml, or let the build use less memory.",
        "请调大 slipway.yaml 的 build.limits.memory，或减少构建的内存占用。"},
    Row{reason::kDiskLimit, FailureClass::kPolicy,
        "Let the build write less, or raise build.limits.disk in slipway.yaml.",
        "请减少构建写入的数据，或调大 slipway.yaml 的 build.limits.disk。"},
    // Whoever took the room, the machine has none for anybody: on another one it may well succeed.
    Row{reason::kDiskFloor, FailureClass::kInfrastructure,
        "Free space on the agent's machine, or lower disk_floor in its configuration.",
        "请在构建机上释放磁盘空间，或调低其配置中的 disk_floor。"},
    Row{reason::kOutputOutside, FailureClass::kPolicy,
        "Let `output` in slipway.yaml name a real directory inside the repository.",
        "slipway.yaml 的 output 必须是仓库内的真实目录，不能经过符号链接。"},
    Row{reason::kNoOutput, FailureClass::kBuild,
        "Let the script write its product to $SLIPWAY_OUTPUT.",
        "请让构建脚本把产物写到 $SLIPWAY_OUTPUT 目录。"},
    Row{reason::kUnknownPlatform, FailureClass::kBuild,
        "Add the platform to slipway.yaml, or submit for one that is there.",
        "请在 slipway.yaml 中加入该平台，或选择已有的平台。"},
    Row{reason::kParameterInvalid, FailureClass::kBuild,
        "Submit again with a value that `slipway.yaml` of this commit allows; `slipway apps "
        "parameters APP` shows those of the default branch.",
        "请用该提交的 `slipway.yaml` 允许的取值重新提交；`slipway apps parameters 应用` "
        "可查看默认分支的参数。"},
    Row{reason::kCachePathTaken, FailureClass::kBuild,
        "Let the cache in slipway.yaml name a folder that only the build makes, such as "
        "node_modules, and take what lies there out of the repository.",
        "请让 slipway.yaml 的缓存指向只由构建生成的目录（如 "
        "node_modules），并从仓库中移除该处的内容。"},
    Row{reason::kNoCredential, FailureClass::kCredential,
        "Seal the upload key with `slipway credentials seal`, name the file in slipway.yaml "
        "(platforms.*.credential) and commit both.",
        "请用 slipway credentials seal 加密上传密钥，在 slipway.yaml 的 credential "
        "中写明文件并提交。"},
    Row{reason::kImageMissing, FailureClass::kPolicy,
        "Make the image on the agent's machine: deploy/images/build makes the farm's own; load "
        "others with docker load, or name one with its registry (registry.example.org/name:tag), "
        "which the agent pulls by itself. `slipway agents prepare` shows each agent. Or correct "
        "build.image in slipway.yaml.",
        "请在构建机上准备该镜像（运行 deploy/images/build 或 docker "
        "load），或使用带仓库地址的镜像名"
        "（registry.example.org/name:tag），代理会自行拉取；`slipway agents prepare` "
        "可查看各代理的情况。也可修改 slipway.yaml 的 build.image。"},
    Row{reason::kPrepareFailed, FailureClass::kBuild,
        "Mend what the last lines above name in build.prepare of slipway.yaml or the files that it "
        "names, commit and submit again.",
        "请按上方最后几行的提示修改 slipway.yaml 的 build.prepare 或其列出的文件，"
        "提交后重新构建。"},
    Row{reason::kPrepareTimeout, FailureClass::kTimeout,
        "Let build.prepare do less, or raise build.prepare.timeout in slipway.yaml.",
        "请精简 build.prepare，或调大 slipway.yaml 的 build.prepare.timeout。"},
    Row{reason::kPrepareFile, FailureClass::kBuild,
        "Commit the file, or correct build.prepare.files in slipway.yaml.",
        "请提交该文件，或修改 slipway.yaml 的 build.prepare.files。"},
    Row{"REGISTRY_UNREACHABLE", FailureClass::kNetwork,
        "Check the registry, and the Docker Engine's proxy and certificates on the agent's "
        "machine.",
        "请检查镜像仓库，以及构建机上 Docker 的代理和证书设置。"},
    Row{reason::kEngineRestarted, FailureClass::kAgentLost,
        "Nothing of the build is at fault; it is tried again. Restart the Docker Engine when the "
        "agent is drained, or let it keep containers (live-restore in daemon.json).",
        "与构建内容无关，会自动重试。请先排空代理再重启 Docker，或在 daemon.json 中启用 "
        "live-restore。"},
    Row{reason::kContainerLost, FailureClass::kAgentLost,
        "Look whether somebody stopped the container, or the machine was restarted or ran out of "
        "memory.",
        "请检查是否有人停止了容器，或构建机重启过、内存不足。"},
    Row{reason::kContainerStopped, FailureClass::kAgentLost,
        "Nothing of the build is at fault; it is tried again. Drain the agent before its Docker "
        "Engine or machine is stopped.",
        "与构建内容无关，会自动重试。停止 Docker 或构建机之前请先排空代理。"},
    Row{"NO_DOCKER_ENGINE", FailureClass::kInfrastructure,
        "Start the Docker Engine on the agent's machine, then submit again.",
        "请在构建机上启动 Docker，然后重新提交。"},
    Row{reason::kCanceled, FailureClass::kCanceled, "", ""},
    Row{"CONTROL_DIR_TAMPERED", FailureClass::kPolicy,
        "Something in the container changed slipway-init's files. Look at what the build runs.",
        "容器内有程序篡改了 slipway-init 的文件，请检查构建运行了什么。"},
    Row{"ARTIFACT_REFUSED", FailureClass::kPolicy,
        "Leave only plain files, directories and links inside the product.",
        "产物中只能有普通文件、目录和指向产物内部的链接。"},
    Row{"UNSAFE_PATH", FailureClass::kPolicy,
        "Rename the file that is named above; a link may only point inside the product, by a "
        "relative path.",
        "请重命名上面提到的文件；链接只能以相对路径指向产物内部。"},
    Row{"ARTIFACT_TOO_LARGE", FailureClass::kPolicy, "Make the product smaller.", "请减小产物。"},
    Row{"MANIFEST_TOO_LARGE", FailureClass::kPolicy, "Let the product have fewer files.",
        "请减少产物的文件数量。"},
    Row{reason::kPermitExpired, FailureClass::kTimeout, "Nothing was published. Publish again.",
        "没有发布任何内容，请重新发布。"},
    Row{reason::kPublishUnknown, FailureClass::kPublishUnknown,
        "Look at the platform whether the version is there, then tell the farm: slipway releases "
        "resolve. It does not try again by itself.",
        "请先在平台上确认该版本是否已发布，再用 slipway releases resolve "
        "告知农场；农场不会自动重试。"},
    Row{reason::kPublisherFailed, FailureClass::kInfrastructure,
        "Nothing was published. Look at the publish's log and at the target's image.",
        "没有发布任何内容。请查看发布日志并检查发布镜像。"},
    Row{reason::kProbeFailed, FailureClass::kInfrastructure,
        "What became of the publish is as unknown as before. Look at the probe's log and at the "
        "target's image, or look at the platform yourself.",
        "发布结果仍然未知。请查看探测任务的日志并检查发布镜像，或直接到平台上确认。"},
    Row{reason::kPreviewFailed, FailureClass::kInfrastructure,
        "Nothing was published; a preview may be made again at any time. Look at its log and at "
        "the target's image.",
        "没有发布任何内容，可随时重新生成预览。请查看日志并检查发布镜像。"},
    Row{reason::kNotAPreview, FailureClass::kPolicy,
        "Look at the platform for what it did, and do not use the target's image until it makes "
        "previews or refuses them.",
        "请到平台上确认它做了什么；在该镜像能够生成或明确拒绝预览之前，请勿使用它。"},
};

constexpr std::size_t kMaxWords = 4096;

const Row* Find(std::string_view reason) {
  const auto* const row =
      std::find_if(kTable.begin(), kTable.end(), [&](const Row& r) { return r.reason == reason; });
  return row == kTable.end() ? nullptr : row;
}

}  // namespace

std::string LastWords(std::string_view words) {
  if (words.size() <= kMaxWords) return std::string(words);
  words.remove_prefix(words.size() - kMaxWords);
  const std::size_t line = words.find('\n');
  if (line != std::string_view::npos && line + 1 < words.size()) words.remove_prefix(line + 1);
  return std::string(words);
}

protocol::Failure MakeFailure(std::string_view reason, std::string message,
                              std::string_view tool_words) {
  const Row* row = Find(reason);
  SLIPWAY_CHECK(row != nullptr);
  return {.klass = row->klass,
          .reason = std::string(reason),
          .message = std::move(message),
          .tool_words = LastWords(tool_words),
          .remedy = std::string(row->remedy),
          .remedy_zh = std::string(row->remedy_zh)};
}

protocol::Failure FailureOf(const absl::Status& status) {
  SLIPWAY_CHECK(!status.ok());
  const ErrorInfo info = GetErrorInfo(status);
  std::string message(status.message());
  if (status.code() == absl::StatusCode::kCancelled) {
    return MakeFailure(reason::kCanceled, "Canceled.");
  }
  if (Find(info.reason) != nullptr) return MakeFailure(info.reason, std::move(message));
  return {
      .klass = FailureClass::kInfrastructure,
      .reason = info.reason.empty() ? "AGENT_FAILED" : info.reason,
      .message = std::move(message),
      .tool_words = {},
      .remedy = info.remedy.empty() ? "Look at the agent's own log on its machine." : info.remedy,
      .remedy_zh = "请查看构建机上 slipway-agent 的日志。"};
}

}  // namespace slipway::runner
