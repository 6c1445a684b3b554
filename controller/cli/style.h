#pragma once

#include <string>

namespace slipway::cli {

// Colours, or none of them. A value; thread-safe.
class Style {
 public:
  explicit Style(bool colour) : colour_(colour) {}
  [[nodiscard]] bool coloured() const { return colour_; }
  [[nodiscard]] std::string Good(const std::string& text) const { return In("32", text); }
  [[nodiscard]] std::string Bad(const std::string& text) const { return In("31;1", text); }
  [[nodiscard]] std::string Warning(const std::string& text) const { return In("33", text); }
  [[nodiscard]] std::string Bold(const std::string& text) const { return In("1", text); }
  [[nodiscard]] std::string Faint(const std::string& text) const { return In("2", text); }

 private:
  [[nodiscard]] std::string In(const char* code, const std::string& text) const {
    return colour_ ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  }

  bool colour_;
};

}  // namespace slipway::cli
