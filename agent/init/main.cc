#include <stdio.h>
#include <string.h>

#include <string>

#include "agent/init/init_process.h"
#include "agent/init/protocol.h"

int main(int argc, char** argv) {
  std::string control = "/slipway/control";
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--version") == 0) {
      printf("slipway-init protocol %u\n", slipway::init::kProtocolVersion);
      return 0;
    }
    if (strcmp(argv[i], "--control") == 0 && i + 1 < argc) {
      control = argv[++i];
      continue;
    }
    fprintf(stderr, "usage: slipway-init [--control DIR] [--version]\n");
    return 2;
  }
  return slipway::init::RunInit(control);
}
