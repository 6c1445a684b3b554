#pragma once

#include <dirent.h>

#include <memory>

namespace slipway::fs {

struct CloseDirectoryStream {
  void operator()(DIR* stream) const { closedir(stream); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectoryStream>;

}  // namespace slipway::fs
