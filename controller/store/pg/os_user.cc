#include "controller/store/pg/os_user.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "common/status/status.h"

namespace slipway::store::pg {
namespace {

constexpr char kReason[] = "CLUSTER_USER";
constexpr char kMakeUserRemedy[] =
    "Make one: adduser --system --group --no-create-home --home /nonexistent slipway-postgres";
constexpr std::size_t kMaxPasswdEntry = 64 * 1024;

OsUser FromPasswd(const passwd& entry) {
  OsUser user{.name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid, .groups = {}};
  int count = 32;
  user.groups.resize(static_cast<std::size_t>(count));
  if (getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
    getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count);
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

template <typename Lookup>
absl::StatusOr<OsUser> LookUp(Lookup lookup, std::string_view what) {
  std::string buffer(kMaxPasswdEntry, '\0');
  passwd entry{};
  passwd* found = nullptr;
  const int error = lookup(&entry, buffer.data(), buffer.size(), &found);
  if (error != 0) return ErrnoError(error, fmt::format("looking up {}", what));
  if (found == nullptr) return absl::NotFoundError(fmt::format("there is no {}", what));
  return FromPasswd(entry);
}

}  // namespace

absl::StatusOr<OsUser> FindOsUser(std::string_view name) {
  const std::string text(name);
  return LookUp(
      [&](passwd* entry, char* buffer, std::size_t size, passwd** found) {
        return getpwnam_r(text.c_str(), entry, buffer, size, found);
      },
      fmt::format("user '{}'", name));
}

absl::StatusOr<OsUser> CurrentOsUser() {
  const uid_t uid = geteuid();
  return LookUp([uid](passwd* entry, char* buffer, std::size_t size,
                      passwd** found) { return getpwuid_r(uid, entry, buffer, size, found); },
                fmt::format("user with uid {}", uid));
}

absl::StatusOr<OsUser> ChooseClusterUser(std::string_view wanted) {
  if (geteuid() != 0) {
    SLIPWAY_ASSIGN_OR_RETURN(OsUser self, CurrentOsUser());
    if (!wanted.empty() && wanted != self.name) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, kReason,
          fmt::format("the embedded PostgreSQL cannot run as '{}': only root may start "
                      "it under another user than '{}'",
                      wanted, self.name),
          "Start the controller as root, or leave the user of the cluster unset.");
    }
    return self;
  }
  std::vector<std::string_view> candidates = {"slipway-postgres", "postgres"};
  if (!wanted.empty()) candidates = {wanted};
  for (const std::string_view name : candidates) {
    auto user = FindOsUser(name);
    if (absl::IsNotFound(user.status())) continue;
    if (!user.ok()) return user.status();
    if (user->uid == 0) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, kReason,
          fmt::format("the embedded PostgreSQL cannot run as '{}', which is root", name),
          kMakeUserRemedy);
    }
    return user;
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition, kReason,
      fmt::format("the embedded PostgreSQL needs a user of its own, and there is no '{}'",
                  fmt::join(candidates, "' and no '")),
      kMakeUserRemedy);
}

}  // namespace slipway::store::pg
