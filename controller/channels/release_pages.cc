#include "controller/channels/release_pages.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/crypto/token.h"
#include "common/log/log.h"
#include "common/qr/qr_code.h"
#include "common/status/status.h"
#include "controller/channels/delivery.h"
#include "controller/channels/page_html.h"
#include "controller/work/work_pool.h"

namespace slipway::channels {
namespace {

// Readers of a page wait for the database, those of a file for the disk.
constexpr int kThreads = 2;
constexpr std::size_t kMostWaiting = 1000;
constexpr std::size_t kTokenSize = 52;

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

class ReleasePages final : public gateway::LinkedPages {
 public:
  explicit ReleasePages(const ReleasePagesDeps& deps) : deps_(deps), pool_(kThreads) {}

  gateway::LinkedAnswer Open(std::string_view rest) override {
    const auto slash = rest.find('/');
    const std::string_view token = rest.substr(0, slash);
    const std::string_view what =
        slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (token.size() != kTokenSize || (!what.empty() && what != "file")) return None();
    const auto page = deps_.pages.Find(crypto::HashToken(token), deps_.clock.Wall());
    auto answer = page.ok() ? (what == "file" ? File(*page) : Page(*page, token)) : page.status();
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
  work::WorkPool pool_;
};

}  // namespace

std::shared_ptr<gateway::LinkedPages> NewReleasePages(const ReleasePagesDeps& deps) {
  return std::make_shared<ReleasePages>(deps);
}

}  // namespace slipway::channels
