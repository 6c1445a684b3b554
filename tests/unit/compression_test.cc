#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "common/compression/zstd.h"
#include "tests/support/status_matchers.h"

namespace slipway::compression {
namespace {

// Bytes in which nobody finds anything to save.
std::string Noise(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t state = 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<char>(state >> 56U);
  }
  return bytes;
}

std::string Text(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "line " + std::to_string(text.size()) + " of a page\n";
  text.resize(size);
  return text;
}

std::string Pack(ZstdCompressor& zstd, std::string_view content) {
  std::string frame;
  const auto append = [&](std::string_view bytes) {
    frame += bytes;
    return absl::OkStatus();
  };
  zstd.Begin(content.size());
  for (std::size_t at = 0; at < content.size(); at += 200'000) {
    REQUIRE_OK(zstd.Append(content.substr(at, 200'000), append));
  }
  REQUIRE_OK(zstd.Finish(append));
  return frame;
}

std::string Unpack(std::string_view frame) {
  ZstdDecompressor zstd;
  std::string content;
  REQUIRE_OK(zstd.Append(frame, [&](std::string_view bytes) {
    content += bytes;
    return absl::OkStatus();
  }));
  CHECK(zstd.done());
  return content;
}

TEST_CASE("Zstd: whatever the frames before were, a frame is as small as its content allows",
          "[unit]") {
  ZstdCompressor zstd;
  const std::string noise = Noise(1'000'000);
  const std::string text = Text(1'000'000);
  const std::size_t small = Pack(zstd, text).size();
  CHECK(small < text.size() / 5);
  for (const std::string& content :
       {noise, text, std::string(), Noise(100), Text(70'000), noise + text, text + noise}) {
    const std::string frame = Pack(zstd, content);
    CHECK(frame.size() <= content.size() + content.size() / 1000 + 32);
    CHECK(Unpack(frame) == content);
  }
  CHECK(Pack(zstd, text).size() == small);
}

}  // namespace
}  // namespace slipway::compression
