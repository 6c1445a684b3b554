#include "controller/api/version_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "common/git/clean_text.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

constexpr int kMaxPage = 1000;
constexpr int kDefaultPage = 100;
constexpr std::size_t kMaxMatch = 128;
constexpr std::size_t kMaxName = 255;
// Of the longest name that git keeps, a path's length, and the rest.
constexpr std::size_t kMaxToken = 2 * 4096 + 64;
// No commit is read as being later.
constexpr std::int64_t kLatestMicros = 9'000'000'000'000'000;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool Holds(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return Lower(a) == Lower(b); }) != text.end();
}

bool Fits(const git::Version& version, const v1::ListVersionsRequest& request) {
  if (request.kind() == v1::VERSION_KIND_BRANCH && version.is_tag) return false;
  if (request.kind() == v1::VERSION_KIND_TAG && !version.is_tag) return false;
  const std::string& match = request.match();
  return match.empty() || Holds(git::CleanText(version.name, kMaxName), match) ||
         Holds(version.commit.commit, match) || Holds(version.commit.message, match) ||
         Holds(version.commit.author, match);
}

// "1700000000000000.t.76312e34": the place of a version in the order of IsBefore. Its name in hex,
// because git takes bytes for one that no token could carry.
std::string TokenOf(const git::Version& version) {
  std::string token =
      fmt::format("{}.{}.", ToUnixMicros(version.commit.time), version.is_tag ? 't' : 'b');
  for (const char c : version.name) {
    token += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return token;
}

std::optional<git::Version> ParseToken(std::string_view token) {
  if (token.size() > kMaxToken) return std::nullopt;
  std::int64_t micros = 0;
  const char* const stop = token.data() + token.size();
  const auto [end, error] = std::from_chars(token.data(), stop, micros);
  if (error != std::errc() || stop - end < 3 || end[0] != '.' || end[2] != '.') return std::nullopt;
  if (end[1] != 't' && end[1] != 'b') return std::nullopt;
  if (micros < 0 || micros > kLatestMicros) return std::nullopt;
  git::Version version;
  version.commit.time = FromUnixMicros(micros);
  version.is_tag = end[1] == 't';
  for (const char* at = end + 3; at != stop; at += 2) {
    unsigned byte = 0;
    if (stop - at < 2) return std::nullopt;
    const auto [last, bad] = std::from_chars(at, at + 2, byte, 16);
    if (bad != std::errc() || last != at + 2) return std::nullopt;
    version.name.push_back(static_cast<char>(byte));
  }
  return version;
}

}  // namespace

absl::Status CheckRequest(const v1::ListVersionsRequest& request) {
  if (request.page_size() < 0 || request.page_size() > kMaxPage) {
    return BadField("page_size", "not in 0 … 1000");
  }
  if (!v1::VersionKind_IsValid(request.kind())) return BadField("kind", "is no kind of version");
  SLIPWAY_RETURN_IF_ERROR(CheckText("match", request.match(), kMaxMatch));
  if (!request.page_token().empty() && !ParseToken(request.page_token())) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN",
                     "the page token was not given by an earlier page of this list",
                     "List again from the start.");
  }
  return absl::OkStatus();
}

absl::StatusOr<VersionPage> PageOf(const git::VersionList& list,
                                   const v1::ListVersionsRequest& request) {
  SLIPWAY_RETURN_IF_ERROR(CheckRequest(request));
  const auto size =
      static_cast<std::size_t>(request.page_size() == 0 ? kDefaultPage : request.page_size());
  const std::optional<git::Version> before =
      request.page_token().empty() ? std::nullopt : ParseToken(request.page_token());
  VersionPage page;
  for (const git::Version& version : list.versions) {
    if (!Fits(version, request)) continue;
    ++page.total;
    if (before && !git::IsBefore(*before, version)) continue;
    if (page.versions.size() < size) {
      page.versions.push_back(&version);
    } else if (page.next_page_token.empty()) {
      page.next_page_token = TokenOf(*page.versions.back());
    }
  }
  return page;
}

v1::Version ToProto(const git::Version& version, const catalog::RepositoryView& view) {
  v1::Version out;
  out.set_name(git::CleanText(version.name, kMaxName));
  out.set_kind(version.is_tag ? v1::VERSION_KIND_TAG : v1::VERSION_KIND_BRANCH);
  out.set_commit(version.commit.commit);
  out.set_subject(version.commit.subject);
  out.set_message(version.commit.message);
  out.set_author(version.commit.author);
  *out.mutable_committed_at() = rpc::ToProto(version.commit.time);
  out.set_is_default(!version.is_tag && !view.default_branch.empty() &&
                     version.name == view.default_branch);
  return out;
}

v1::BuiltVersion ToProto(const store::BuiltCommit& built) {
  v1::BuiltVersion out;
  out.set_platform(built.platform);
  out.set_task(built.task.value());
  out.set_run(built.run.value());
  out.set_version(built.version);
  *out.mutable_built_at() = rpc::ToProto(built.built_at);
  return out;
}

v1::RepositoryState ToProto(const catalog::Knowledge& known) {
  v1::RepositoryState out;
  out.set_fetching(known.fetching);
  if (known.view) {
    *out.mutable_fetched_at() = rpc::ToProto(known.view->fetched_at);
    out.set_cut(known.view->versions.cut);
  }
  if (!known.problem.ok()) *out.mutable_problem() = rpc::ToCallError(known.problem);
  return out;
}

catalog::Repository RepositoryOf(const domain::Application& application,
                                 const std::optional<domain::RepositoryCredential>& credential) {
  if (!credential) return {.url = application.repository};
  return {.url = application.repository,
          .application = application.id.value(),
          .credential = credential->digest};
}

}  // namespace slipway::api
