#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <string>
#include <type_traits>

#include "common/crypto/hash.h"
#include "common/crypto/secret.h"
#include "common/crypto/token.h"

namespace slipway::crypto {
namespace {

TEST_CASE("Sha256: known vectors", "[unit][crypto]") {
  CHECK(Sha256Of("").Hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(Sha256Of("abc").Hex() ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("Sha256Hasher: every split of a message gives the same digest", "[unit][crypto]") {
  std::string message;
  for (int i = 0; i < 200; ++i) message += static_cast<char>(i);
  const auto whole = Sha256Of(message);
  Sha256Hasher hasher;
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    hasher.Update(std::string_view(message).substr(0, cut));
    hasher.Update(std::string_view(message).substr(cut));
    REQUIRE(hasher.Finish() == whole);
  }
}

TEST_CASE("SecretBytes: holds a copy, moves, and truncates", "[unit][crypto]") {
  SecretBytes secret = SecretBytes::CopyOf("correct horse");
  const SecretBytes moved = std::move(secret);
  CHECK(moved.view() == "correct horse");
  CHECK(secret.empty());  // NOLINT(bugprone-use-after-move): the moved-from state is promised

  SecretBytes cut = SecretBytes::CopyOf("correct horse");
  cut.Truncate(7);
  CHECK(cut.view() == "correct");
  CHECK(std::string_view(cut.data() + 7, 6) == std::string_view("\0\0\0\0\0\0", 6));
}

TEST_CASE("SecretBytes: its page stays out of core dumps", "[unit][crypto]") {
  const SecretBytes secret = SecretBytes::CopyOf("s");
  const auto address = reinterpret_cast<std::uintptr_t>(secret.view().data());
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  bool dont_dump = false;
  while (std::getline(smaps, line)) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      inside = begin <= address && address < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      dont_dump = line.find(" dd") != std::string::npos;
    }
  }
  CHECK(dont_dump);
}

template <typename T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};
static_assert(!Printable<SecretBytes>);
static_assert(!std::is_copy_constructible_v<SecretBytes>);

TEST_CASE("Base32: the vectors of RFC 4648, lower case without padding", "[unit][crypto]") {
  CHECK(Base32("") == "");
  CHECK(Base32("f") == "my");
  CHECK(Base32("foobar") == "mzxw6ytboi");
}

TEST_CASE("NewToken: 256 bits, URL-safe, never twice", "[unit][crypto]") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const SecretBytes token = NewToken("slj_");
    const std::string text(token.view());
    CHECK(text.substr(0, 4) == "slj_");
    CHECK(text.size() == 4 + 52);
    CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567", 4) == std::string::npos);
    seen.insert(text);
  }
  CHECK(seen.size() == 100);
}

TEST_CASE("ConstantTimeEqual: is equality", "[unit][crypto]") {
  CHECK(ConstantTimeEqual("", ""));
  CHECK(ConstantTimeEqual("abc", "abc"));
  CHECK_FALSE(ConstantTimeEqual("abc", "abd"));
  CHECK_FALSE(ConstantTimeEqual("abc", "ab"));
}

}  // namespace
}  // namespace slipway::crypto
