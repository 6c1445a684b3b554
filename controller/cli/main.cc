#include "controller/cli/process.h"
#include "controller/cli/program.h"

int main(int argc, char** argv) {
  return slipway::cli::RunAsProcess("slipway", argc, argv, slipway::cli::RunProgram);
}
