#include "controller/cli/bench/program.h"
#include "controller/cli/process.h"

int main(int argc, char** argv) {
  return slipway::cli::RunAsProcess("slipway-bench", argc, argv, slipway::bench::RunProgram);
}
