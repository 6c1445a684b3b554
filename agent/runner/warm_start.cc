#include "agent/runner/warm_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/status/status.h"

namespace slipway::runner {
namespace {

// More entries at the top than any project has: to move them would take longer than a container.
constexpr std::size_t kMaxEntries = 2000;

absl::StatusOr<std::vector<std::string>> EntriesOf(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  while (!error && entry != std::filesystem::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    if (names.size() > kMaxEntries) return absl::OutOfRangeError("too many");
    entry.increment(error);
  }
  if (error) return ErrnoError(error.value(), directory);
  return names;
}

absl::Status Move(const std::string& from, const std::string& to) {
  return rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus()
                                               : ErrnoError(errno, from + " to " + to);
}

}  // namespace

bool CanMoveIn(const AttemptContext& context) { return EntriesOf(context.paths.tree).ok(); }

absl::Status MoveIn(AttemptContext& context, pool::Stall& stall) {
  const AttemptPaths& mine = context.paths;
  const pool::StallPaths& theirs = stall.paths;
  SLIPWAY_ASSIGN_OR_RETURN(const std::vector<std::string> names, EntriesOf(mine.tree));
  // A mount stays where it is, so the content goes to it: what is below a directory moves with it.
  for (const std::string& name : names) {
    SLIPWAY_RETURN_IF_ERROR(Move(mine.tree + "/" + name, theirs.tree + "/" + name));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::vector<std::string> caches, EntriesOf(mine.caches));
  for (const std::string& name : caches) {
    SLIPWAY_RETURN_IF_ERROR(Move(mine.caches + "/" + name, theirs.caches + "/" + name));
  }
  // Onto a directory that is empty by now.
  SLIPWAY_RETURN_IF_ERROR(Move(theirs.caches, mine.caches));
  // The content is never in both and never in neither: an attempt that is begun anew throws the
  // tree away.
  if (renameat2(AT_FDCWD, theirs.tree.c_str(), AT_FDCWD, mine.tree.c_str(), RENAME_EXCHANGE) != 0) {
    return ErrnoError(errno, theirs.tree);
  }
  SLIPWAY_RETURN_IF_ERROR(Move(theirs.out, mine.out));
  SLIPWAY_RETURN_IF_ERROR(Move(theirs.home, mine.home));
  SLIPWAY_RETURN_IF_ERROR(context.log.Join(std::move(stall.control)));
  // Empty by now, all of it; what could not be removed is at the agent's next start.
  std::error_code error;
  std::filesystem::remove_all(theirs.dir, error);
  std::filesystem::remove_all(theirs.tree, error);
  return absl::OkStatus();
}

}  // namespace slipway::runner
