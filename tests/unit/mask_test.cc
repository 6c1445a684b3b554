#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "common/mask/secret_forms.h"
#include "common/mask/secret_masker.h"

namespace slipway::mask {
namespace {

// What the rules say, written without any cleverness.
std::string Reference(const std::vector<std::string>& secrets, const std::string& text) {
  std::vector<std::string> forms;
  for (const auto& s : secrets) {
    for (auto& f : SecretForms(s)) forms.push_back(f);
  }
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t longest = 0;
    for (const auto& f : forms) {
      if (text.compare(at, f.size(), f) == 0) longest = std::max(longest, f.size());
    }
    out += longest > 0 ? "***" : text.substr(at, 1);
    at += std::max<std::size_t>(longest, 1);
  }
  return out;
}

std::string InPieces(SecretMasker& masker, const std::string& text, std::mt19937& random,
                     unsigned largest) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = std::min<std::size_t>(random() % (largest + 1), text.size() - at);
    masker.Feed(std::string_view(text).substr(at, n), &out);
    at += n;
  }
  masker.Flush(&out);
  return out;
}

TEST_CASE("SecretMasker: a secret split over two writes is masked", "[unit][mask]") {
  SecretMasker masker({"hunter2hunter2"});
  std::string out;
  masker.Feed("password: hunter2", &out);
  CHECK(out == "password: ");
  masker.Feed("hunter2\n", &out);
  CHECK(out == "password: ***\n");
}

TEST_CASE("SecretMasker: output that cannot begin a secret is not held back", "[unit][mask]") {
  SecretMasker masker({"s3cr3t-value", "another one"});
  std::string out;
  masker.Feed("Continue? [y/N] ", &out);
  CHECK(out == "Continue? [y/N] ");
  CHECK(masker.held() == 0);
  masker.Feed("xs3cr", &out);
  CHECK(out == "Continue? [y/N] x");
  CHECK(masker.held() == 4);
  masker.Feed("!", &out);
  CHECK(out == "Continue? [y/N] xs3cr!");
  CHECK(masker.held() == 0);
}

TEST_CASE("SecretMasker: leftmost wins, then longest", "[unit][mask]") {
  CHECK(SecretMasker({"abcdefgh", "cdef"}).Mask("abcdefgh abcdefg") == "*** ab***g");
  CHECK(SecretMasker({"abcd", "abcdef"}).Mask("abcdef abcde abcd") == "*** ***e ***");
  CHECK(SecretMasker({"abcdef", "defghi"}).Mask("abcdefghi") == "***ghi");
  SecretMasker undecided({"abcd", "abcdef"});
  std::string out;
  undecided.Feed("abcde", &out);
  CHECK(out.empty());
  undecided.Feed("x", &out);
  CHECK(out == "***ex");
}

TEST_CASE("SecretMasker: values under four bytes are left alone", "[unit][mask]") {
  SecretMasker masker({"", "abc", "a\nb\nc"});
  CHECK(masker.Mask("abc a\nb\nc") == "abc ***");
  CHECK(SecretForms("abc").empty());
}

TEST_CASE("SecretMasker: encoded forms are masked", "[unit][mask]") {
  const std::string secret = "p@ss w0rd/\"x\"\n";
  const SecretMasker masker({secret});
  CHECK(masker.Mask("p@ss w0rd/\"x\"") == "***");
  CHECK(masker.Mask("url p%40ss%20w0rd%2F%22x%22;") == "url ***;");
  CHECK(masker.Mask("url p%40ss%20w0rd%2f%22x%22;") == "url ***;");
  CHECK(masker.Mask("form p%40ss+w0rd%2F%22x%22&") == "form ***&");
  CHECK(masker.Mask(R"({"k":"p@ss w0rd/\"x\"\n"})") == R"({"k":"***"})");
  CHECK(masker.Mask(R"({"k":"p@ss w0rd\/\"x\""})") == R"({"k":"***"})");
  CHECK(masker.Mask("b64 cEBzcyB3MHJkLyJ4Igo= end") == "b64 *** end");  // with the line end
  CHECK(masker.Mask("b64 cEBzcyB3MHJkLyJ4Ig== end") == "b64 *** end");
  CHECK(masker.Mask("b64 cEBzcyB3MHJkLyJ4Ig end") == "b64 *** end");
}

TEST_CASE("SecretMasker: base64 of more than the secret hides it at every alignment",
          "[unit][mask]") {
  const SecretMasker masker({"correct-horse-battery"});
  // base64 of "u:", "us:", "user:" followed by the secret. A character at either end that the
  // secret shares with its neighbours stays.
  CHECK(masker.Mask("dTpjb3JyZWN0LWhvcnNlLWJhdHRlcnk=") == "dTp***k=");
  for (const char* encoded :
       {"dXM6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5", "dXNlcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnk="}) {
    const std::string masked = masker.Mask(encoded);
    INFO(masked);
    CHECK(masked.find("***") != std::string::npos);
    CHECK(masked.size() < 16);
  }
}

TEST_CASE("SecretMasker: each line of a key is masked, in any line ending", "[unit][mask]") {
  const std::string key =
      "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF\n-----END KEY-----\n";
  const SecretMasker masker({key});
  CHECK(masker.Mask(key) == "***");
  CHECK(masker.Mask("  MIIEvQIBADANBgkq\r\n  hkiG9w0BAQEF\r\n") == "  ***\r\n  ***\r\n");
}

TEST_CASE("SecretMasker: the output does not depend on the chunks", "[unit][mask]") {
  // A small alphabet makes overlaps, near misses and nested secrets common.
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    const auto text_of = [&random](std::size_t n) {
      std::string s(n, ' ');
      for (auto& c : s) c = "ab\nc"[random() % (random() % 8 == 0 ? 4 : 2)];
      return s;
    };
    std::vector<std::string> secrets(1 + random() % 4);
    for (auto& s : secrets) s = text_of(4 + random() % 9);
    const std::string text = text_of(random() % 400);
    const std::string expected = Reference(secrets, text);
    SecretMasker masker(secrets);
    INFO("seed " << seed);
    REQUIRE(masker.Mask(text) == expected);
    for (const unsigned largest : {1U, 3U, 40U}) {
      REQUIRE(InPieces(masker, text, random, largest) == expected);
    }
  }
}

TEST_CASE("SecretMasker: never holds back more than the longest form", "[unit][mask]") {
  std::mt19937 random(7);
  SecretMasker masker({"aaaaaaab", "aaaabaaa"});
  std::string out;
  for (int i = 0; i < 2000; ++i) {
    masker.Feed(random() % 5 == 0 ? "b" : "aaa", &out);
    REQUIRE(masker.held() < 24);  // the percent-encoded and base64 forms are not longer
  }
}

TEST_CASE("SecretMasker: throughput", "[.][bench][mask]") {
  std::string text;
  std::mt19937 random(1);
  while (text.size() < (std::size_t{64} << 20)) {
    text += "[webpack] built module ./src/pages/index-" + std::to_string(random()) + ".js in " +
            std::to_string(random() % 1000) + " ms (cached) \xe2\x9c\x93\n";
  }
  for (const std::vector<std::string>& secrets :
       {std::vector<std::string>{},
        {"ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
        {"hunter2x", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct horse",
         "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
        {"ab1!"}}) {
    SecretMasker masker(secrets);
    std::string out;
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t at = 0; at < text.size(); at += 256 << 10) {
      out.clear();
      masker.Feed(std::string_view(text).substr(at, 256 << 10), &out);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%zu secrets: %.0f MB/s\n", secrets.size(),
                static_cast<double>(text.size()) / 1e6 / took.count());
  }
}

}  // namespace
}  // namespace slipway::mask
