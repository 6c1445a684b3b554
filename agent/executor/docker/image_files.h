#pragma once

#include <string>

#include "absl/status/status.h"

// Images in the form of `docker save`, whole as one tar file, and cut down to configuration and
// last layer as a directory of two files. Of the layers below, `docker load` needs no file where
// the Engine has them.
namespace slipway::docker {

// Cuts the image in the file `tar` down into the new directory `dir`. kInvalidArgument: not what an
// Engine of 20.10 or newer saves, or an image of a single layer.
[[nodiscard]] absl::Status CutToLastLayer(const std::string& tar, const std::string& dir);

// The directory as a new file that `docker load` takes, as the image `name` and nothing else.
// kInvalidArgument: it is no such directory. Adds a file to it.
[[nodiscard]] absl::Status PackForLoad(const std::string& dir, const std::string& name,
                                       const std::string& tar);

}  // namespace slipway::docker
