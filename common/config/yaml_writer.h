#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace slipway::config {

// Writes one YAML text, in the order of the calls. Whatever reads it, as YAML 1.1 or 1.2, gets
// strings back as strings, also "no", "12" and "~", and no byte of them can steer a terminal.
//
// The calls nest as the text does: in a map each value follows its Key. Thread-compatible.
class YamlWriter {
 public:
  YamlWriter();
  ~YamlWriter();
  YamlWriter(const YamlWriter&) = delete;
  YamlWriter& operator=(const YamlWriter&) = delete;

  void BeginMap();
  void EndMap();
  void BeginList();
  void EndList();
  void Key(std::string_view name);
  // REQUIRES: UTF-8.
  void String(std::string_view text);
  // A number, true, false or null, as it is to stand there.
  void Plain(std::string_view word);

  // The text so far; ends with a newline. REQUIRES: everything that was begun was ended.
  [[nodiscard]] std::string Finish();

 private:
  struct Emitter;
  const std::unique_ptr<Emitter> emitter_;
};

}  // namespace slipway::config
