#include "controller/cli/grammar.h"

namespace slipway::cli {

void Grammar::AddArchive() {
  CLI::App* archive = Command(app_, "archive", "Archived products", "已归档的产物");
  CLI::App* list = Command(*archive, "list", "Lists releases, newest first", "列出发布，最新的在前",
                           [this](Session& s) { return ListArchive(s, list_); });
  Option(list, "--app", list_.application, "Of this application", "限定应用");
  Option(list, "--platform", list_.platform, "For this platform", "限定平台");
  AddLimit(list, list_.limit);
  CLI::App* show = Command(*archive, "show", "Who, when, commit, image, log and hashes",
                           "显示提交人、时间、提交、镜像、日志和校验值",
                           [this](Session& s) { return ShowArchived(s, id_); });
  AddName(show, id_);
  CLI::App* get =
      Command(*archive, "get", "Fetches the exact bytes, verified", "取回逐字节校验过的产物",
              [this](Session& s) { return GetArchived(s, get_); });
  AddName(get, get_.name);
  auto* form = get->add_option_group(t_("Form", "形式"));
  form->add_option("--dir", get_.dir, t_("As a new directory", "存为新目录"))->type_name("DIR");
  form->add_option("--tar", get_.tar, t_("As a tar file", "存为 tar 文件"))->type_name("FILE");
  form->add_option("--zip", get_.zip, t_("As a zip file", "存为 zip 文件"))->type_name("FILE");
  form->require_option(1);
  Flag(get, "--force", get_.force, "Replaces an existing file", "覆盖已有文件");
  AddPackages(*archive);

  CLI::App* qr = Command(app_, "qr", "The QR code of a release or preview",
                         "显示发布或预览的二维码", [this](Session& s) { return ShowQr(s, qr_); });
  AddName(qr, qr_.name);
  Option(qr, "--png", qr_.png, "Writes a PNG file", "写入 PNG 文件")->type_name("FILE");
  Option(qr, "--svg", qr_.svg, "Writes an SVG file", "写入 SVG 文件")->type_name("FILE");
  Flag(qr, "--platform-code", qr_.platform, "The platform's own code instead of the release's",
       "平台自己的二维码，而非发布的");
  Option(qr, "--image", qr_.image, "Writes the image that the platform drew, as it came",
         "写入平台提供的原始图片")
      ->type_name("FILE");
  Flag(qr, "--ascii", qr_.ascii, "Plain characters instead of blocks", "用普通字符代替方块");
  Flag(qr, "--text", qr_.text, "Only what the code says", "仅输出二维码的内容");
}

void Grammar::AddReleases() {
  CLI::App* releases =
      Command(app_, "releases", "Lists releases, newest first", "列出发布，最新的在前",
              [this](Session& s) { return ListArchive(s, list_); });
  releases->require_subcommand(0, 1);
  Option(releases, "--app", list_.application, "Of this application", "限定应用");
  Option(releases, "--platform", list_.platform, "For this platform", "限定平台");
  AddLimit(releases, list_.limit);
  CLI::App* resolve = Command(
      *releases, "resolve", "Says what became of a publish of unknown outcome",
      "说明结果未知的发布究竟如何", [this](Session& s) { return ResolvePublish(s, resolve_); });
  Option(resolve, "TASK", resolve_.task, "The publish task", "发布任务")->required();
  auto* word = resolve->add_option_group(t_("What became of it", "结果"));
  word->add_flag("--published", resolve_.published,
                 t_("It is at the platform", "平台上已有该版本"));
  word->add_flag("--not-published", resolve_.not_published,
                 t_("It is not, and can not get there any more", "平台上没有，也不会再出现"));
  word->add_flag("--probe", resolve_.probe,
                 t_("Asks the platform, as far as it tells", "向平台查询（平台支持时）"));
  word->require_option(1);
  Option(resolve, "--version", resolve_.version, "With --published: as the platform shows it",
         "与 --published 一起：平台显示的版本号");
  Option(resolve, "--link", resolve_.link, "With --published: where people find it",
         "与 --published 一起：访问地址");
  Option(resolve, "--reason", resolve_.reason, "How it is known; stays on record", "依据，供记录")
      ->required();
  Flag(resolve, "-f,--follow", resolve_.follow, "With --probe: stays until it has answered",
       "与 --probe 一起：等待查询结束");
  CLI::App* close = Command(
      *releases, "close-page", "Ends the time of a page that was handed to people, for everybody",
      "提前关闭已发给他人的下载页面", [this](Session& s) { return ClosePage(s, close_page_); });
  Option(close, "NAME", close_page_, "The publish to a channel, or its release",
         "交付到渠道的发布任务或其发布")
      ->required();
}

void Grammar::AddName(CLI::App* command, std::string& value) {
  Option(command, "NAME", value, "Release, task, or the text of a QR code",
         "发布、任务或二维码的内容")
      ->required();
}

void Grammar::AddAgents() {
  CLI::App* agents = Command(app_, "agents", "Lists agents", "列出代理",
                             [this](Session& s) { return ListAgents(s, all_); });
  agents->require_subcommand(0, 1);
  AddAll(agents);
  AddAll(Command(*agents, "list", "Lists agents", "列出代理",
                 [this](Session& s) { return ListAgents(s, all_); }));
  CLI::App* show = Command(*agents, "show", "One agent, and what it holds", "显示一个代理及其任务",
                           [this](Session& s) { return ShowAgent(s, id_); });
  Option(show, "AGENT", id_, "Name or id", "名称或 ID")->required();

  CLI::App* pause = AddChange(*agents, "pause", v1::AGENT_ACTION_PAUSE,
                              "Takes no new work for a while", "暂停接收新任务");
  pause->get_option("--reason")->required();
  Option(pause, "--timeout", change_.timeout, "Resumes by itself after this long, 1s to 30d",
         "到时自动恢复，1s 到 30d");
  CLI::App* drain =
      AddChange(*agents, "drain", v1::AGENT_ACTION_DRAIN, "Finishes its work and takes no more",
                "完成手头任务，不再接收新任务");
  AddChange(*agents, "resume", v1::AGENT_ACTION_RESUME,
            "Takes work again after pause, drain or retire", "恢复接收任务");
  CLI::App* retire =
      AddChange(*agents, "retire", v1::AGENT_ACTION_RETIRE,
                "Finishes its work, then leaves the farm for good", "完成手头任务后永久退出");
  for (CLI::App* command : {drain, retire}) {
    Flag(command, "--wait", change_.wait, "Stays until they hold no task", "等待其任务全部完成");
    Option(command, "--patience", change_.patience, "How long to wait at most (15m)",
           "最长等待时间（15m）");
  }
  AddChange(*agents, "revoke", v1::AGENT_ACTION_REVOKE,
            "Throws it out at once; its builds go elsewhere", "立即吊销，构建转到其他代理");

  CLI::App* token = Command(*agents, "token", "Makes a one-time token for one agent to join",
                            "生成一次性的代理加入令牌",
                            [this](Session& s) { return CreateJoinToken(s, lifetime_); });
  token->require_subcommand(0, 1);
  Option(token, "--lifetime", lifetime_, "1m to 7d (1h)", "1m 到 7d（1h）");
  AddAll(Command(*token, "list", "Lists join tokens that can be used", "列出可用的加入令牌",
                 [this](Session& s) { return ListJoinTokens(s, all_); }));
  CLI::App* revoke = Command(*token, "revoke", "Makes a join token useless", "作废一个加入令牌",
                             [this](Session& s) { return RevokeJoinToken(s, id_); });
  Option(revoke, "TOKEN", id_, "Its short name, from the list", "列表中的编号")->required();
  AddImages(*agents);
}

void Grammar::AddAll(CLI::App* command) {
  Flag(command, "--all", all_, "Also what is over", "包括已失效的");
}

CLI::App* Grammar::AddChange(CLI::App& parent, const char* name, v1::AgentAction action,
                             const char* english, const char* chinese) {
  CLI::App* command = Command(parent, name, english, chinese, [this, action](Session& s) {
    return ChangeAgents(s, action, change_);
  });
  Option(command, "AGENT", change_.agents, "Names, ids or patterns like 'mac-*'",
         "名称、ID，或 'mac-*' 这样的模式")
      ->required();
  Option(command, "--reason", change_.reason, "For the next person, and for the record",
         "原因，供他人查看和记录");
  return command;
}

void Grammar::AddFarm() {
  CLI::App* apps = Command(app_, "apps", "Lists applications", "列出应用",
                           [](Session& s) { return ListApplications(s); });
  apps->require_subcommand(0, 1);
  CLI::App* create = Command(*apps, "create", "Adds an application", "添加应用",
                             [this](Session& s) { return CreateApplication(s, create_); });
  Option(create, "NAME", create_.name, "Its name", "应用名")->required();
  Option(create, "--repository", create_.repository, "Git URL", "Git 地址")->required();
  Option(create, "--description", create_.description, "For people", "说明");
  AddWaiting(create, create_.require, create_.queue_timeout);
  CLI::App* set =
      Command(*apps, "set", "Changes an application, for submits from now on",
              "修改应用，对之后的提交生效", [this](Session& s) { return SetApplication(s, set_); });
  Option(set, "NAME", set_.name, "Its name", "应用名")->required();
  Option(set, "--description", set_.description, "For people", "说明");
  Option(set, "--repository", set_.repository, "Git URL; for admins", "Git 地址（限管理员）");
  AddWaiting(set, set_.require, set_.queue_timeout);
  Flag(set, "--require-nothing", set_.require_nothing, "Removes all required labels",
       "清除全部所需标签")
      ->excludes("--require");
  AddRepositoryCredential(*apps);
  CLI::App* show = Command(*apps, "show", "One application", "显示一个应用",
                           [this](Session& s) { return ShowApplication(s, id_); });
  Option(show, "NAME", id_, "Its name", "应用名")->required();
  CLI::App* parameters =
      Command(*apps, "parameters", "What its builds can be told, at the default branch",
              "默认分支上可设置的构建参数", [this](Session& s) { return ShowParameters(s, id_); });
  Option(parameters, "APP", id_, "Application", "应用")->required();

  AddVersions();

  CLI::App* credentials = Command(app_, "credentials", "Publishing credentials", "发布凭证");
  CLI::App* seal = Command(
      *credentials, "seal", "Encrypts a platform's key, so that it can lie in git",
      "加密平台密钥，以便存入 git", [this](Session& s) { return SealCredential(s, seal_); });
  Option(seal, "--app", seal_.application, "Application", "应用")->required();
  Option(seal, "--platform", seal_.platform, "Platform", "平台")->required();
  Option(seal, "--app-id", seal_.app_id, "The application's id at the platform",
         "应用在平台上的 ID")
      ->required();
  Option(seal, "--key", seal_.key_file, "File with the platform's key", "平台密钥文件")
      ->required()
      ->type_name("FILE");
  Option(seal, "--out", seal_.out_file, "File to write (else standard output)",
         "输出文件（缺省为标准输出）")
      ->type_name("FILE");
  Flag(seal, "--force", seal_.force, "Replaces an existing file", "覆盖已有文件");

  Command(app_, "version", "Versions of this program and of the controller",
          "显示本程序与控制器的版本", [](Session& s) { return ShowVersion(s); });
}

void Grammar::AddRepositoryCredential(CLI::App& apps) {
  RepositoryCredentialFlags& flags = repository_credential_;
  CLI::App* set = Command(apps, "set-repository-credential",
                          "Sets what a private repository is read with", "设置读取私有仓库的凭证",
                          [&flags](Session& s) { return SetRepositoryCredential(s, flags); });
  Option(set, "APP", flags.application, "Application", "应用")->required();
  Option(set, "--https-user", flags.https_user, "User name, for https", "用户名（https）")
      ->type_name("USER");
  Option(set, "--password-file", flags.password_file,
         "File with the password or token; '-': standard input", "密码或令牌文件；'-' 为标准输入")
      ->type_name("FILE");
  Option(set, "--ca-file", flags.ca_file,
         "Certificates of the server's authority (else those that the machines trust)",
         "服务器证书颁发机构的证书（缺省为各机器所信任的）")
      ->type_name("FILE");
  Option(set, "--ssh-key-file", flags.ssh_key_file, "Private key without passphrase, for ssh",
         "不带口令的私钥（ssh）")
      ->type_name("FILE");
  Option(set, "--known-hosts", flags.known_hosts_file,
         "Keys of the server (else the first one seen is kept)",
         "服务器公钥（缺省为首次见到的公钥）")
      ->type_name("FILE");
  Flag(set, "--none", flags.none, "Takes the credential away", "清除凭证");
}

void Grammar::AddVersions() {
  CLI::App* versions =
      Command(app_, "versions", "Lists branches and tags of an application, newest commit first",
              "列出应用的分支和标签，最新提交在前",
              [this](Session& s) { return ListVersions(s, versions_); });
  Option(versions, "APP", versions_.application, "Application", "应用")->required();
  Flag(versions, "--tags", versions_.tags, "Tags only", "仅标签");
  Flag(versions, "--branches", versions_.branches, "Branches only", "仅分支");
  Option(versions, "--match", versions_.match, "With this text in name, commit, message or author",
         "名称、提交、说明或作者中含有此文本");
  AddLimit(versions, versions_.limit);
  CLI::App* overview =
      Command(app_, "overview", "What you may do: applications, targets, newest versions",
              "您可以做什么：应用、目标与最新版本",
              [this](Session& s) { return ShowOverview(s, versions_.application); });
  Option(overview, "APP", versions_.application, "Of one application", "限定应用");
}

void Grammar::AddImages(CLI::App& agents) {
  CLI::App* prepare =
      Command(agents, "prepare", "Lets agents have images ready before a task needs them",
              "让代理提前备好镜像", [this](Session& s) { return PrepareImages(s, prepare_); });
  Option(prepare, "--image", prepare_.images, "One or several images", "一个或多个镜像")
      ->required()
      ->delimiter(',');
  Option(prepare, "--agent", prepare_.agents, "Only on these agents (else on all)",
         "限定代理（缺省为全部）")
      ->delimiter(',');
  Flag(prepare, "--no-wait", prepare_.no_wait, "Does not wait until they are there", "不等待完成");
  Option(prepare, "--patience", prepare_.patience, "How long to wait at most (15m)",
         "最长等待时间（15m）");
  CLI::App* images =
      Command(agents, "images", "Lists the images that agents are to have ready",
              "列出代理需备好的镜像", [this](Session& s) { return ListImages(s, images_); });
  Option(images, "--agent", images_.agent, "Of this agent", "限定代理");
  Option(images, "--forget", images_.forget, "Asks for this image no longer", "不再要求备好该镜像");
}

}  // namespace slipway::cli
