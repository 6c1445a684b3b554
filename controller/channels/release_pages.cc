#include "controller/channels/release_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <string>
#include <utility>

#include "common/crypto/hash.h"
#include "common/crypto/password.h"
#include "common/crypto/token.h"
#include "common/log/log.h"
#include "common/qr/qr_code.h"
#include "common/qr/release_code.h"
#include "common/status/status.h"
#include "controller/access/login_delay.h"
#include "controller/channels/delivery.h"
#include "controller/channels/page_html.h"
#include "controller/work/work_pool.h"

namespace slipway::channels {
namespace {

// Readers of a page wait for the database, those of a file for the disk.
constexpr int kThreads = 2;
constexpr std::size_t kMostWaiting = 1000;
constexpr std::size_t kTokenSize = 52;
constexpr char kCookie[] = "slipway_page";

gateway::HeaderList Headers(std::string type) {
  return {{"Content-Type", std::move(type)},
          {"Cache-Control", "no-store"},
          {"Content-Security-Policy", std::string(PagePolicy())},
          // The address is a secret.
          {"Referrer-Policy", "no-referrer"},
          {"X-Robots-Tag", "noindex"}};
}

gateway::LinkedAnswer Html(int status, std::string text) {
  return {.response = {.status = status,
                       .headers = Headers("text/html; charset=utf-8"),
                       .body = std::move(text)}};
}

// What a browser shows that has said the page's password; nobody makes it who has only the address.
std::string PassOf(const domain::ReleasePage& page) {
  return crypto::HmacSha256(page.password_hash, "slipway page " + page.token_hash.Hex()).Hex();
}

// The value of "name=…" among cookies.
std::string_view CookieOf(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    const auto semicolon = cookies.find(';');
    std::string_view cookie = cookies.substr(0, semicolon);
    cookies = semicolon == std::string_view::npos ? "" : cookies.substr(semicolon + 1);
    cookie.remove_prefix(std::min(cookie.find_first_not_of(' '), cookie.size()));
    if (cookie.size() > name.size() && cookie.substr(0, name.size()) == name &&
        cookie[name.size()] == '=') {
      return cookie.substr(name.size() + 1);
    }
  }
  return {};
}

// The password of a form, application/x-www-form-urlencoded.
crypto::SecretBytes PasswordIn(std::string_view form) {
  const auto equals = form.find('=');
  if (form.substr(0, equals) != "password" || equals == std::string_view::npos) return {};
  const std::string_view value = form.substr(equals + 1, form.find('&') - equals - 1);
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    int code = 0;
    if (value[i] == '%' && i + 2 < value.size() &&
        std::from_chars(value.data() + i + 1, value.data() + i + 3, code, 16).ptr ==
            value.data() + i + 3) {
      text += static_cast<char>(code);
      i += 2;
    } else {
      text += value[i] == '+' ? ' ' : value[i];
    }
  }
  crypto::SecretBytes password = crypto::SecretBytes::CopyOf(text);
  crypto::Wipe(text.data(), text.size());
  return password;
}

class ReleasePages final : public gateway::LinkedPages {
 public:
  explicit ReleasePages(const ReleasePagesDeps& deps) : deps_(deps), pool_(kThreads) {}

  gateway::LinkedAnswer Open(const gateway::Request& request) override {
    if (request.path.rfind(gateway::kCodePrefix, 0) == 0) return Code(request);
    const std::string_view rest =
        std::string_view(request.path).substr(gateway::kLinkPrefix.size());
    const auto slash = rest.find('/');
    const std::string_view token = rest.substr(0, slash);
    const std::string_view what =
        slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (token.size() != kTokenSize || (!what.empty() && what != "file")) return None();
    const auto page = deps_.pages.Find(crypto::HashToken(token), deps_.clock.Wall());
    auto answer = page.ok() ? Answer(request, *page, token, what) : page.status();
    if (answer.ok()) return std::move(*answer);
    if (absl::IsNotFound(answer.status())) return None();
    log::Warn("page_not_served", {{"why", std::string(answer.status().message())}});
    return Html(503, NoPageHtml(""));
  }

  bool Run(std::function<void()> work) override {
    return pool_.TryPost(std::move(work), kMostWaiting);
  }

 private:
  static gateway::LinkedAnswer None() { return Html(404, NoPageHtml("")); }

  absl::StatusOr<gateway::LinkedAnswer> Answer(const gateway::Request& request,
                                               const domain::ReleasePage& page,
                                               std::string_view token, std::string_view what) {
    if (request.method == "POST") return Ask(request, page, token);
    const std::string_view pass = CookieOf(request.Get(gateway::Header::kCookie), kCookie);
    if (!page.password_hash.empty() && !crypto::ConstantTimeEqual(pass, PassOf(page))) {
      return Html(401, PasswordHtml(PageLink(deps_.public_url, token), page.language, false));
    }
    return what == "file" ? File(page) : Page(page, token);
  }

  // The answer to a password.
  absl::StatusOr<gateway::LinkedAnswer> Ask(const gateway::Request& request,
                                            const domain::ReleasePage& page,
                                            std::string_view token) {
    const std::string link = PageLink(deps_.public_url, token);
    // Whoever guesses has to wait, and so, of one page, do all others together.
    const std::string by_visitor = page.token_hash.Hex() + " " + request.remote_ip;
    const std::string by_page = page.token_hash.Hex();
    {
      const std::lock_guard lock(mu_);
      const MonoTime now = deps_.clock.Mono();
      const Duration left = std::max(visitors_.Left(by_visitor, now), pages_.Left(by_page, now));
      if (left > Duration::zero()) {
        auto answer = Html(429, PasswordHtml(link, page.language, true));
        answer.response.headers.emplace_back(
            "Retry-After",
            fmt::format("{}", std::chrono::duration_cast<std::chrono::seconds>(left).count() + 1));
        return answer;
      }
      // Counted before it is looked at, so that many at once are not one.
      visitors_.Failed(by_visitor, now);
      pages_.Failed(by_page, now);
    }
    if (page.password_hash.empty() ||
        !crypto::FitsPassword(page.password_hash, PasswordIn(request.body).view())) {
      return Html(403, PasswordHtml(link, page.language, true));
    }
    {
      const std::lock_guard lock(mu_);
      visitors_.Succeeded(by_visitor);
      pages_.TakeBack(by_page);
    }
    auto answer = Html(303, "");
    answer.response.headers.emplace_back("Location", link);
    answer.response.headers.emplace_back(
        "Set-Cookie",
        fmt::format("{}={}; Path={}{}; HttpOnly; SameSite=Strict{}", kCookie, PassOf(page),
                    gateway::kLinkPrefix, token, link.rfind("https://", 0) == 0 ? "; Secure" : ""));
    return answer;
  }

  // Of what a code says nothing is told that it does not say itself.
  gateway::LinkedAnswer Code(const gateway::Request& request) {
    const std::string text = fmt::format("{}{}?{}", deps_.public_url, request.path, request.query);
    const auto code = qr::ParseReleaseCode(text);
    if (!code.ok()) return None();
    const auto release = deps_.reader.GetRelease(code->release);
    if (!release.ok() && !absl::IsNotFound(release.status())) return Html(503, NoPageHtml(""));
    const bool known = release.ok() && release->manifest == code->digest &&
                       release->application_name == code->application &&
                       release->platform == code->platform && release->version == code->version;
    return Html(known ? 200 : 404, CodeHtml(*code, text, known, ""));
  }

  absl::StatusOr<gateway::LinkedAnswer> Page(const domain::ReleasePage& page,
                                             std::string_view token) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto publish, deps_.reader.GetTask(page.task));
    SLIPWAY_ASSIGN_OR_RETURN(const auto build, deps_.reader.GetTask(publish.task.depends_on));
    const Facts facts{.application = publish.run.application_name,
                      .platform = build.task.platform,
                      .version = build.task.result->build->version,
                      .commit = build.task.result->build->commit,
                      .description = publish.run.description,
                      .submitted_by = {},
                      .file_name = page.file_name,
                      .bytes = page.bytes,
                      .sha256 = page.sha256,
                      .cipher = publish.run.packaging.cipher,
                      .link = PageLink(deps_.public_url, token),
                      .expires_at = page.expires_at};
    SLIPWAY_ASSIGN_OR_RETURN(const auto code, qr::Encode(facts.link));
    return Html(200, PageHtml(facts, page.language, qr::RenderSvg(code)));
  }

  absl::StatusOr<gateway::LinkedAnswer> File(const domain::ReleasePage& page) {
    SLIPWAY_ASSIGN_OR_RETURN(fs::UniqueFd file, deps_.packages.OpenFile(page.file));
    gateway::LinkedAnswer answer{
        .response = {.status = 200, .headers = Headers("application/octet-stream"), .body = {}},
        .file = std::move(file),
        .bytes = page.bytes};
    // The name has letters, digits, ".", "_" and "-" alone.
    answer.response.headers.emplace_back(
        "Content-Disposition", fmt::format("attachment; filename=\"{}\"", page.file_name));
    return answer;
  }

  const ReleasePagesDeps deps_;
  std::mutex mu_;
  // Guarded by mu_.
  access::LoginDelay visitors_{{}};
  access::LoginDelay pages_{{.free_tries = 50}};
  work::WorkPool pool_;
};

}  // namespace

std::shared_ptr<gateway::LinkedPages> NewReleasePages(const ReleasePagesDeps& deps) {
  return std::make_shared<ReleasePages>(deps);
}

}  // namespace slipway::channels
