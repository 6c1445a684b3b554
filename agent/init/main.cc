#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <string>

#include "agent/init/init_process.h"
#include "agent/init/protocol.h"

namespace {

// Holds the namespaces of its container and does nothing else.
int Hold() {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  sigprocmask(SIG_BLOCK, &end, nullptr);
  int signal = 0;
  return sigwait(&end, &signal) == 0 ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::string control = "/slipway/control";
  bool waits = false;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--version") == 0) {
      printf("slipway-init protocol %u\n", slipway::init::kProtocolVersion);
      return 0;
    }
    if (strcmp(argv[i], "--control") == 0 && i + 1 < argc) {
      control = argv[++i];
      continue;
    }
    if (strcmp(argv[i], "--hold") == 0) return Hold();
    if (strcmp(argv[i], "--wait") == 0) {
      waits = true;
      continue;
    }
    fprintf(stderr, "usage: slipway-init [--control DIR] [--hold] [--wait] [--version]\n");
    return 2;
  }
  return slipway::init::RunInit(control, waits);
}
