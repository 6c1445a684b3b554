#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/init/posix.h"
#include "agent/init/protocol.h"

namespace slipway::initlink {

using init::Fd;

struct ControlDirOptions {
  // Owner of the directory: neither root nor any step's uid, so that no step can enter it. An agent
  // without root cannot give files away and uses its own uid.
  std::uint32_t owner_uid = 65519;
};

// The agent's hold on the control directory of one attempt (docs/init.md, "Who owns what"): made
// before the container exists, opened again after a restart of the agent. Everything in it is
// hostile; whatever leaves this class has been checked.
//
// Files live as long as the attempt directory, which the owner of the attempt removes.
// Thread-compatible.
class ControlDir {
 public:
  // Makes <attempt_dir>/control with an empty log, then <attempt_dir>/control.id. The
  // directories are not synced: that is for whoever says that the log has bytes. What an
  // interrupted Prepare left behind is replaced. kAlreadyExists: prepared before, use Open.
  [[nodiscard]] static absl::StatusOr<ControlDir> Prepare(const std::string& attempt_dir,
                                                          const ControlDirOptions& options = {});
  // <dir>/control without a log, for a container that is made before it is known whose it will be:
  // for Join alone.
  [[nodiscard]] static absl::StatusOr<ControlDir> PrepareWaiting(
      const std::string& dir, const ControlDirOptions& options = {});
  // kNotFound: never (completely) prepared. kFailedPrecondition CONTROL_DIR_TAMPERED: not the
  // directory that was prepared; give the attempt up.
  [[nodiscard]] static absl::StatusOr<ControlDir> Open(const std::string& attempt_dir);

  // Moves the log into `waiting` and puts that directory in the place of this one, which it then
  // is: what was open stays open, and kill -9 at any point leaves a directory that Open takes, once
  // what is left below `waiting`'s own directory has been removed. After an error everything is as
  // it was. The former directory is left at `waiting`'s path.
  [[nodiscard]] absl::Status Join(ControlDir waiting);

  // What to bind-mount at /slipway/control.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint32_t owner_uid() const { return owner_uid_; }

  // `log` and `log.times` as prepared: the same inode, one link, the right owner; read-write, so
  // that freed ranges can be punched. CONTROL_DIR_TAMPERED otherwise.
  [[nodiscard]] absl::StatusOr<Fd> OpenLog() const;
  [[nodiscard]] absl::StatusOr<Fd> OpenTimes() const;

  // The socket of init, as an O_PATH descriptor to connect to through /proc/self/fd.
  // kNotFound: not there yet.
  [[nodiscard]] absl::StatusOr<Fd> OpenSocket() const;

  // Removes the socket of an init that is not wanted any more, so that another can make its own.
  void ForgetInit() const;

  // The result of step `step`. kNotFound: there is none (yet). CONTROL_DIR_TAMPERED: not a file
  // that init would write, or of another step.
  [[nodiscard]] absl::StatusOr<init::StepResult> ReadResult(std::uint32_t step) const;

 private:
  struct Inode {
    dev_t device = 0;
    ino_t number = 0;

    friend bool operator==(const Inode&, const Inode&) = default;
  };

  ControlDir() = default;
  [[nodiscard]] static absl::StatusOr<ControlDir> MakeDirectory(const std::string& parent,
                                                                const ControlDirOptions& options);
  // `other`: a directory that is this one's as well; nullptr: none.
  [[nodiscard]] absl::Status WriteId(const Inode* other) const;
  [[nodiscard]] static absl::StatusOr<Inode> Identify(int fd);
  [[nodiscard]] absl::StatusOr<Fd> OpenChecked(const char* name, int flags, mode_t type,
                                               const Inode* expected) const;

  std::string path_;
  Fd fd_;
  std::uint32_t owner_uid_ = 0;
  Inode directory_;
  Inode log_;
  Inode times_;
};

}  // namespace slipway::initlink
