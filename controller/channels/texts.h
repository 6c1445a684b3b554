#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/digest.h"
#include "common/base/time.h"

namespace slipway::channels {

// What mails and pages tell of a product.
struct Facts {
  std::string application;
  std::string platform;  // the product's
  std::string version;
  std::string commit;
  std::string description;
  std::string submitted_by;
  // The package.
  std::string file_name;
  std::uint64_t bytes = 0;
  Sha256Digest sha256;
  // What it is encrypted with; empty: nothing.
  std::string cipher{};
  // Of the page, and until when.
  std::string link;
  WallTime expires_at{};
  bool asks_password = false;
};

// Chinese for "zh-CN", English for all others.
class Words {
 public:
  explicit Words(std::string_view language) : chinese_(language == "zh-CN") {}
  [[nodiscard]] const char* operator()(const char* en, const char* zh) const {
    return chinese_ ? zh : en;
  }
  [[nodiscard]] const char* tag() const { return chinese_ ? "zh-CN" : "en"; }

 private:
  const bool chinese_;
};

// "1.4 MB".
[[nodiscard]] std::string SizeText(std::uint64_t bytes);
// "2026-11-23 09:30 UTC".
[[nodiscard]] std::string TimeText(WallTime time);
// How a package that is encrypted with `cipher` is opened; empty: with nothing.
[[nodiscard]] std::string HowToOpen(std::string_view cipher, const Words& words);
// For elements and quoted attributes of HTML.
[[nodiscard]] std::string Escaped(std::string_view text);
// The facts as rows of a table: a label and a value each, both escaped.
[[nodiscard]] std::string FactRows(const Facts& facts, const Words& words);

}  // namespace slipway::channels
