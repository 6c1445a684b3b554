#pragma once

#include <string>

namespace slipway::fs {

// The id of this life of the machine, one line without its end; empty when the kernel does not
// tell. What was written without a sync in another one may not have come to the disk.
[[nodiscard]] std::string BootId();

}  // namespace slipway::fs
