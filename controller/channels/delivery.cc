#include "controller/channels/delivery.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <sstream>
#include <utility>

#include "common/crypto/channel_secret.h"
#include "common/crypto/token.h"
#include "common/qr/qr_code.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "controller/channels/mail_text.h"
#include "controller/channels/poster.h"
#include "controller/outbound/smtp_client.h"
#include "controller/packaging/sealed_password.h"

namespace slipway::channels {
namespace {

using protocol::AttemptResult;
using protocol::Failure;
using protocol::FailureClass;
using protocol::StepState;

AttemptResult Failed(Failure failure) {
  AttemptResult result;
  result.failure = std::move(failure);
  return result;
}

Failure FailureOf(FailureClass klass, const std::string& reason, std::string message,
                  std::string words = "") {
  const std::optional<Remedy> remedy = RemedyFor(reason);
  return {.klass = klass,
          .reason = reason,
          .message = std::move(message),
          .tool_words = std::move(words),
          .remedy = std::string(remedy ? remedy->english : ""),
          .remedy_zh = std::string(remedy ? remedy->chinese : "")};
}

Failure Broken(const absl::Status& status, const std::string& what,
               FailureClass klass = FailureClass::kInfrastructure) {
  if (absl::IsCancelled(status)) {
    return FailureOf(FailureClass::kCanceled, "CANCELED", "somebody canceled the task");
  }
  const ErrorInfo info = GetErrorInfo(status);
  return FailureOf(klass, info.reason.empty() ? "CHANNEL_BROKEN" : info.reason,
                   fmt::format("{}: {}", what, std::string(status.message())));
}

// Steps are numbered in the order in which they begin.
class Steps {
 public:
  explicit Steps(AttemptVoice& voice) : voice_(voice) {}
  void Begin(const char* name) {
    name_ = name;
    voice_.Step(++number_, name_, StepState::kStarted, "");
    voice_.Log(fmt::format("== {}", name_));
  }
  void End(bool ok, const std::string& detail = "") {
    voice_.Step(number_, name_, ok ? StepState::kSucceeded : StepState::kFailed, detail);
  }

 private:
  AttemptVoice& voice_;
  std::uint32_t number_ = 0;
  const char* name_ = "";
};

class Delivery {
 public:
  Delivery(const DeliveryDeps& deps, const AttemptKey& key, AttemptVoice& voice)
      : deps_(deps), key_(key), voice_(voice), steps_(voice) {}

  AttemptResult Run() {
    if (absl::Status loaded = Load(); !loaded.ok()) {
      return Failed(Broken(loaded, "the task cannot be read"));
    }
    if (publish_.task.kind == domain::TaskKind::kProbe) return Probe();
    if (deps_.public_url.empty()) {
      return Failed(FailureOf(FailureClass::kInfrastructure, "NO_PUBLIC_URL",
                              "the farm has no address that links could begin with"));
    }
    if (absl::Status made = MakePage(); !made.ok()) {
      return Failed(Broken(made, "the package cannot be made"));
    }
    if (target_.platform == domain::kEmailPlatform) return Email();
    if (target_.platform != domain::kPagePlatform) return Post();
    return WithLeave([this](const protocol::Permit&) { return Published(); });
  }

 private:
  const domain::Run& run() const { return publish_.run; }
  const protocol::BuildOutcome& product() const { return *build_.task.result->build; }

  absl::Status Load() {
    SLIPWAY_ASSIGN_OR_RETURN(publish_, deps_.reader.GetTask(key_.task));
    TaskId below = publish_.task.depends_on;
    if (publish_.task.kind == domain::TaskKind::kProbe) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(build_, deps_.reader.GetTask(below));
    if (!build_.task.result || !build_.task.result->build) {
      return absl::InternalError("its build has no product");
    }
    SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
    const domain::Target* target = targets->Find(publish_.task.platform, publish_.task.target);
    if (target == nullptr || !target->channel) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "NO_TARGET",
                       fmt::format("channel '{}/{}' is not there any more", publish_.task.platform,
                                   publish_.task.target),
                       "An admin adds it again.");
    }
    target_ = *target;
    return absl::OkStatus();
  }

  absl::StatusOr<packaging::PackageOrder> OrderOf(const domain::Packaging& packaging) {
    packaging::PackageOrder order;
    if (packaging.form == "tar.gz") order.form = archive::Format::kTarGz;
    if (packaging.cipher.empty()) return order;
    order.cipher = crypto::PackageCipherOf(packaging.cipher);
    if (!order.cipher) return absl::InternalError("unknown cipher " + packaging.cipher);
    order.recipients.certificates = packaging.recipients;
    if (!packaging.sealed_password.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(order.recipients.password,
                               packaging::OpenPassword(deps_.farm, run().application,
                                                       packaging.sealed_password, deps_.sealing));
    }
    // A certificate may have come to its end since the submit.
    SLIPWAY_RETURN_IF_ERROR(crypto::CheckPackageRecipients(order.recipients, deps_.clock.Wall()));
    return order;
  }

  absl::Status MakePage() {
    steps_.Begin("package");
    const domain::Packaging& packaging = run().packaging;
    SLIPWAY_ASSIGN_OR_RETURN(const packaging::PackageOrder order, OrderOf(packaging));
    const std::string& manifest = product().manifest.Hex();
    // The same for all channels of a run; without encryption, for all runs.
    std::string name = (order.cipher ? run().id.value() + "-" : "") + manifest +
                       (order.form == archive::Format::kZip ? ".zip" : ".tar.gz") +
                       (order.cipher ? ".cms" : "");
    SLIPWAY_ASSIGN_OR_RETURN(
        const ReadyPackage package,
        deps_.packages.Make(deps_.archive,
                            {.name = std::move(name),
                             .application = run().application,
                             .manifest = product().manifest,
                             .order = order},
                            [this]() -> absl::Status {
                              if (!voice_.canceled()) return absl::OkStatus();
                              return absl::CancelledError("somebody canceled the task");
                            }));
    const crypto::SecretBytes token = crypto::NewToken("");
    domain::ReleasePage page;
    page.task = key_.task;
    page.token_hash = crypto::HashToken(token.view());
    page.file = package.file;
    page.file_name = packaging::PackageFileName(run().application_name, build_.task.platform,
                                                product().version, order);
    page.sha256 = package.sha256;
    page.bytes = package.bytes;
    page.language = target_.channel->language;
    page.password_hash = packaging.page_password_hash;
    page.made_at = deps_.clock.Wall();
    page.expires_at = page.made_at + target_.channel->valid_for;
    SLIPWAY_RETURN_IF_ERROR(deps_.pages.Put(page));
    package_path_ = deps_.packages.PathOf(package.file);
    facts_ = {.application = run().application_name,
              .platform = build_.task.platform,
              .version = product().version,
              .commit = product().commit,
              .description = run().description,
              .submitted_by = run().submitted_by,
              .file_name = page.file_name,
              .bytes = page.bytes,
              .sha256 = page.sha256,
              .cipher = packaging.cipher,
              .link = PageLink(deps_.public_url, token.view()),
              .expires_at = page.expires_at,
              .asks_password = !page.password_hash.empty()};
    voice_.Log(fmt::format("{}: {} bytes, {}", page.file_name, page.bytes, page.sha256.ToString()));
    steps_.End(true, SizeText(page.bytes));
    return absl::OkStatus();
  }

  template <typename Go>
  AttemptResult WithLeave(const Go& go) {
    auto leave = voice_.AskLeave(product().manifest);
    if (!leave.ok()) return Failed(Broken(leave.status(), "no leave to publish"));
    if (auto* denied = std::get_if<Failure>(&*leave)) return Failed(std::move(*denied));
    return go(std::get<protocol::Permit>(*leave));
  }

  AttemptResult Published() {
    AttemptResult result;
    result.exit_code = 0;
    auto& publish = result.publish.emplace();
    publish.link = facts_.link;
    publish.code.text = facts_.link;
    publish.details_json = "{}";
    return result;
  }

  AttemptResult Probe() {
    AttemptResult result;
    result.exit_code = 0;
    auto& probe = result.probe.emplace();
    if (publish_.task.platform == domain::kPagePlatform) {
      // A page is open to visitors while its publish has not failed.
      probe.verdict = protocol::ProbeVerdict::kNotPublished;
      probe.words = "the page is closed";
      return result;
    }
    probe.verdict = protocol::ProbeVerdict::kCannotTell;
    probe.words = "a channel's server does not tell later what it took";
    probe.remedy =
        "Ask a recipient, look into the chat or into the server's log, then say so: "
        "slipway releases resolve.";
    probe.remedy_zh = "请询问收件人、查看群聊或服务器日志，然后执行 slipway releases resolve。";
    return result;
  }

  // Of what the channel proves itself with there. kFailedPrecondition (CHANNEL_SECRET_MISSING).
  absl::StatusOr<crypto::SecretBytes> SecretOf(const domain::Channel& channel) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::string sealed,
                             deps_.targets.SealedTargetSecret(target_.platform, target_.name));
    if (sealed.empty()) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, "CHANNEL_SECRET_MISSING",
          fmt::format("channel '{}/{}' has no {}", target_.platform, target_.name,
                      target_.platform == domain::kEmailPlatform ? "password for its user"
                                                                 : "key to prove itself with"),
          "An admin sets it: slipway targets secret.");
    }
    return crypto::OpenChannelSecret(
        sealed, deps_.sealing.certificate_pem, deps_.sealing.key_pem.view(),
        {deps_.farm, target_.platform + "/" + target_.name, channel.url, channel.user});
  }

  absl::StatusOr<outbound::Server> ServerOf(const domain::Channel& channel) {
    outbound::Server server{.url = channel.url,
                            .user = channel.user,
                            .password = {},
                            .ca_pem = target_.ca_pem,
                            .plain = channel.plain};
    if (!channel.user.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(server.password, SecretOf(channel));
    }
    return server;
  }

  std::vector<std::string> Recipients(const domain::Channel& channel) const {
    std::vector<std::string> to = channel.to;
    const auto it = run().recipients.find(target_.platform + "/" + target_.name);
    if (it == run().recipients.end()) return to;
    std::istringstream more(it->second);
    for (std::string address; std::getline(more, address, ',');) {
      if (std::find(to.begin(), to.end(), address) == to.end()) to.push_back(address);
    }
    return to;
  }

  AttemptResult Email() {
    const domain::Channel& channel = *target_.channel;
    auto server = ServerOf(channel);
    if (!server.ok()) {
      return Failed(
          Broken(server.status(), "the channel cannot be used", FailureClass::kCredential));
    }
    const auto code = qr::Encode(facts_.link);
    if (!code.ok()) return Failed(Broken(code.status(), "the link has no QR code"));
    auto png = qr::RenderPng(*code);
    if (!png.ok()) return Failed(Broken(png.status(), "the link has no QR code"));
    const bool attached = facts_.bytes <= channel.attach_up_to;
    MailText text = MailTextOf(facts_, channel.language, attached);
    outbound::Mail mail{
        .from = channel.from,
        .to = Recipients(channel),
        .message_id = fmt::format("{}.{}@{}", key_.task.value(), key_.attempt.value(),
                                  channel.from.substr(channel.from.find('@') + 1)),
        .date = deps_.clock.Wall(),
        .subject = std::move(text.subject),
        .text = std::move(text.text),
        .html = std::move(text.html),
        .code_png = std::move(*png)};
    if (attached) mail.attachments.push_back({package_path_, facts_.file_name});
    return WithLeave(
        [&](const protocol::Permit& permit) { return SendMail(*server, mail, permit); });
  }

  AttemptResult SendMail(const outbound::Server& server, const outbound::Mail& mail,
                         const protocol::Permit& permit) {
    steps_.Begin("send");
    voice_.Log(fmt::format("to {}", fmt::join(mail.to, ", ")));
    const outbound::SendOutcome sent =
        outbound::Send(server, mail,
                       {.deadline = permit.deadline,
                        .canceled = [this] { return voice_.canceled(); },
                        .on_line = [this](const std::string& line) { voice_.Log(line); }});
    steps_.End(sent.end == outbound::SendEnd::kSent, sent.message);
    if (sent.end == outbound::SendEnd::kSent) return Published();
    voice_.Log(sent.message);
    AttemptResult result = Failed(WhyNotSent(sent));
    // No other process is at work on it.
    result.client_ended = true;
    return result;
  }

  [[nodiscard]] Failure WhyNotSent(const outbound::SendOutcome& sent) const {
    const std::string& words = sent.server_words;
    if (sent.end == outbound::SendEnd::kUnknown) {
      return FailureOf(FailureClass::kPublishUnknown, "MAIL_IN_DOUBT",
                       fmt::format("nobody knows whether the mail was sent: {}", sent.message),
                       words);
    }
    if (voice_.canceled()) {
      return FailureOf(FailureClass::kCanceled, "CANCELED", "somebody canceled the task", words);
    }
    if (sent.bad_login) {
      return FailureOf(FailureClass::kCredential, "MAIL_LOGIN_REFUSED",
                       "the mail server does not take the channel's login", words);
    }
    if (sent.end == outbound::SendEnd::kRefused) {
      return FailureOf(FailureClass::kPlatformRefused, "MAIL_REFUSED",
                       "the mail server refuses the mail, so nobody gets it", words);
    }
    return FailureOf(FailureClass::kNetwork, "MAIL_NOT_SENT",
                     fmt::format("the mail was not sent: {}", sent.message), words);
  }

  AttemptResult Post() {
    const domain::Channel& channel = *target_.channel;
    const auto secret = SecretOf(channel);
    if (!secret.ok()) {
      return Failed(
          Broken(secret.status(), "the channel cannot be used", FailureClass::kCredential));
    }
    return WithLeave([&](const protocol::Permit& permit) {
      steps_.Begin("send");
      const PostPlan plan{.platform = target_.platform,
                          .channel = channel,
                          .ca_pem = target_.ca_pem,
                          .secret = secret->view(),
                          .hook = {.facts = facts_,
                                   .id = key_.task.value(),
                                   .run = run().id.value(),
                                   .build_task = build_.task.id.value(),
                                   .manifest = product().manifest.Hex()},
                          .deadline = permit.deadline,
                          .pauses = deps_.post_pauses};
      PostEnding ending = PostUntilTaken(plan, deps_.clock, voice_);
      steps_.End(ending.verdict == PostVerdict::kTaken, ending.message);
      if (ending.verdict == PostVerdict::kTaken) return Published();
      AttemptResult result = Failed(WhyNotTaken(ending));
      // No other process is at work on it.
      result.client_ended = true;
      return result;
    });
  }

  [[nodiscard]] Failure WhyNotTaken(const PostEnding& ending) const {
    if (ending.verdict == PostVerdict::kInDoubt) {
      return FailureOf(FailureClass::kPublishUnknown, "POST_IN_DOUBT",
                       fmt::format("nobody knows whether the post was taken: {}", ending.message),
                       ending.words);
    }
    if (voice_.canceled()) {
      return FailureOf(FailureClass::kCanceled, "CANCELED", "somebody canceled the task",
                       ending.words);
    }
    if (ending.verdict == PostVerdict::kRefused) {
      return FailureOf(FailureClass::kPlatformRefused, "POST_REFUSED",
                       fmt::format("the channel's server refuses the post: {}", ending.message),
                       ending.words);
    }
    return FailureOf(FailureClass::kNetwork, "POST_NOT_TAKEN",
                     fmt::format("the post was not taken: {}", ending.message), ending.words);
  }

  const DeliveryDeps& deps_;
  const AttemptKey key_;
  AttemptVoice& voice_;
  Steps steps_;
  store::TaskWithRun publish_;
  store::TaskWithRun build_;
  domain::Target target_;
  Facts facts_;
  std::string package_path_;
};

}  // namespace

AttemptResult Deliver(const DeliveryDeps& deps, const AttemptKey& key, AttemptVoice& voice) {
  return Delivery(deps, key, voice).Run();
}

std::string PageLink(const std::string& public_url, std::string_view token) {
  const bool slash = !public_url.empty() && public_url.back() == '/';
  return fmt::format("{}{}p/{}", public_url, slash ? "" : "/", token);
}

}  // namespace slipway::channels
