#pragma once

#include <sys/types.h>

#include "agent/init/posix.h"
#include "agent/init/protocol.h"

namespace slipway::init {

// A step's direct child and the read end of the one pipe that takes its stdout and stderr.
struct Launched {
  pid_t pid = -1;
  Fd output;
  Problem problem;        // not empty: nothing runs, pid is -1
  bool too_late = false;  // with `problem`: start_before_ns had passed
};

// Starts the program of `spec` as docs/init.md says: own session, numeric ids, no capability, no
// new privileges, no descriptor but the three; unless it is too late for it, which is looked at
// after everything else. Returns once the program has replaced the child, or
// could not. REQUIRES: SIGCHLD is blocked, and the caller has CAP_SETUID, CAP_SETGID, CAP_SETPCAP.
Launched Launch(const StepSpec& spec);

}  // namespace slipway::init
