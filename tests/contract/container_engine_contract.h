#pragma once

#include <string>

#include "agent/executor/container_engine.h"

namespace slipway::testing {

// What ContainerEngine promises, checked against any engine.
struct EngineUnderTest {
  executor::ContainerEngine& engine;
  // An image with /bin/sh and /bin/sleep. The programs used are: `/bin/sleep 600`, and `/bin/sh -c`
  // with "exit N" or "echo TEXT >&2". PID 1 `sleep` ignores SIGTERM.
  std::string image;
  // Farm label of everything the checks make: lets the caller sweep up after a failed check.
  std::string farm;
  // A name that no network has; the caller removes the one that is made.
  std::string network;
};

// Every section makes and removes its own containers. REQUIRES: called within a Catch2 test case.
void CheckContainerEngineContract(const EngineUnderTest& under_test);

}  // namespace slipway::testing
