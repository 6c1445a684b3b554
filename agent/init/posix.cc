#include "agent/init/posix.h"

#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

namespace slipway::init {

void Fd::Reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Problem ErrnoProblem(std::string_view what, int error_number) {
  return std::string(what) + ": " + strerror(error_number);
}

ScopedFsIds::ScopedFsIds(unsigned uid, unsigned gid)
    : old_uid_(static_cast<unsigned>(setfsuid(uid))),
      old_gid_(static_cast<unsigned>(setfsgid(gid))) {}

ScopedFsIds::~ScopedFsIds() {
  setfsuid(old_uid_);
  setfsgid(old_gid_);
}

}  // namespace slipway::init
