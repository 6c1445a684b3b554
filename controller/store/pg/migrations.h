#pragma once

#include <span>
#include <string_view>

namespace slipway::store::pg {

// One step of the schema: a file migrations/NNNN_name.sql, built into the program.
struct Migration {
  int version = 0;
  // "NNNN_name.sql".
  std::string_view file;
  // Of the file's bytes, in hex.
  std::string_view sha256;
  std::string_view sql;
};

// All of them, versions 1, 2, 3, … in order.
std::span<const Migration> BuiltInMigrations();

}  // namespace slipway::store::pg
