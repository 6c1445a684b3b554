#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/qr/qr_code.h"
#include "common/qr/release_code.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::qr {
namespace {

using absl::StatusCode;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

ReleaseCode SomeRelease() {
  return {.release = ReleaseId("rel-abc234"),
          .application = "pocket-shop",
          .platform = "weixin",
          .version = "1.4.2+build 7",
          .digest = Sha256Digest::Parse("sha256:" + std::string(60, 'a') + "0123").value()};
}

// What zbarimg, an independent reader, sees in an image file.
std::string Decode(const TempDir& dir, const std::string& file) {
  const std::string command = "zbarimg --quiet --raw -Sdisable -Sqrcode.enable '" + (dir / file) +
                              "' >'" + (dir / "decoded") + "' 2>'" + (dir / "errors") + "'";
  if (std::system(command.c_str()) != 0) return "not decoded: " + ReadFile(dir / "errors");
  std::string text = ReadFile(dir / "decoded");
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// A portable bitmap of modules ('#' or not), each `scale` pixels.
std::string Bitmap(const std::vector<std::vector<bool>>& dark, int scale) {
  std::ostringstream out;
  const std::size_t factor = static_cast<std::size_t>(scale);
  out << "P1\n" << dark[0].size() * factor << ' ' << dark.size() * factor << '\n';
  for (std::size_t y = 0; y < dark.size() * factor; ++y) {
    for (std::size_t x = 0; x < dark[0].size() * factor; ++x) {
      out << (dark[y / factor][x / factor] ? '1' : '0') << ' ';
    }
    out << '\n';
  }
  return out.str();
}

// What a terminal shows for RenderTerminal(kUtf8): black on white, two modules per cell. Every line
// stands between `begin` and `end`.
std::vector<std::vector<bool>> RasteriseUtf8(const std::string& text,
                                             const std::string& begin = "\x1b[38;5;16;48;5;231m",
                                             const std::string& end = "\x1b[0m") {
  std::vector<std::vector<bool>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    REQUIRE(line.starts_with(begin));
    REQUIRE(line.ends_with(end));
    std::string_view cells(line);
    cells = cells.substr(begin.size(), cells.size() - begin.size() - end.size());
    std::vector<bool> upper;
    std::vector<bool> lower;
    while (!cells.empty()) {
      const bool blank = cells[0] == ' ';
      const std::string_view cell = cells.substr(0, blank ? 1 : 3);
      upper.push_back(cell == "█" || cell == "▀");
      lower.push_back(cell == "█" || cell == "▄");
      REQUIRE((blank || upper.back() || lower.back()));
      cells.remove_prefix(cell.size());
    }
    rows.push_back(upper);
    rows.push_back(lower);
  }
  return rows;
}

TEST_CASE("Qr: an independent reader decodes the PNG", "[unit][qr]") {
  const TempDir dir;
  for (const std::string& text :
       {FormatReleaseCode(SomeRelease()), std::string("x"), std::string(1000, 'q'),
        std::string("\xe4\xb8\xad\xe6\x96\x87 & more")}) {
    const auto matrix = Encode(text);
    REQUIRE_OK(matrix);
    const auto png = RenderPng(*matrix, 4);
    REQUIRE_OK(png);
    WriteFile(dir / "code.png", *png);
    CHECK(Decode(dir, "code.png") == text);
  }
}

TEST_CASE("Qr: an independent reader decodes what a terminal shows", "[unit][qr]") {
  const TempDir dir;
  const std::string text = FormatReleaseCode(SomeRelease());
  const auto matrix = Encode(text);
  REQUIRE_OK(matrix);
  WriteFile(dir / "utf8.pbm",
            Bitmap(RasteriseUtf8(RenderTerminal(*matrix, TerminalStyle::kUtf8)), 4));
  CHECK(Decode(dir, "utf8.pbm") == text);

  const std::string plain = RenderTerminal(*matrix, TerminalStyle::kPlain);
  CHECK(plain.find('\x1b') == std::string::npos);
  WriteFile(dir / "plain.pbm", Bitmap(RasteriseUtf8(plain, "", ""), 4));
  CHECK(Decode(dir, "plain.pbm") == text);

  std::vector<std::vector<bool>> rows;
  std::istringstream lines(RenderTerminal(*matrix, TerminalStyle::kAscii));
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    for (std::size_t i = 0; i < line.size(); i += 2) rows.back().push_back(line[i] == '#');
  }
  CHECK(rows.size() == static_cast<std::size_t>(matrix->width() + 2 * kQuietZone));
  WriteFile(dir / "ascii.pbm", Bitmap(rows, 4));
  CHECK(Decode(dir, "ascii.pbm") == text);
}

TEST_CASE("Qr: the SVG draws exactly the dark modules", "[unit][qr]") {
  const auto matrix = Encode("slipway");
  REQUIRE_OK(matrix);
  const std::string svg = RenderSvg(*matrix);
  std::vector<std::vector<bool>> drawn(
      static_cast<std::size_t>(matrix->width()),
      std::vector<bool>(static_cast<std::size_t>(matrix->width())));
  std::size_t at = svg.find("#000");
  REQUIRE(at != std::string::npos);
  while ((at = svg.find('M', at)) != std::string::npos) {
    int x = 0;
    int y = 0;
    int run = 0;
    REQUIRE(std::sscanf(svg.c_str() + at, "M%d,%dh%dv1", &x, &y, &run) == 3);
    for (int i = 0; i < run; ++i) {
      drawn.at(static_cast<std::size_t>(y - kQuietZone))
          .at(static_cast<std::size_t>(x + i - kQuietZone)) = true;
    }
    ++at;
  }
  for (int y = 0; y < matrix->width(); ++y) {
    for (int x = 0; x < matrix->width(); ++x) {
      REQUIRE(drawn[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] ==
              matrix->dark(x, y));
    }
  }
}

TEST_CASE("Qr: the code of a text does not change between versions", "[unit][qr]") {
  const auto matrix = Encode("slipway:release/rel-1");
  REQUIRE_OK(matrix);
  const std::string shown = RenderTerminal(*matrix, TerminalStyle::kAscii);
  const std::string golden = std::string(SLIPWAY_SOURCE_DIR) + "/tests/unit/golden/qr_matrix.txt";
  if (std::getenv("SLIPWAY_TEST_ACCEPT") != nullptr) WriteFile(golden, shown);
  CHECK(shown == ReadFile(golden));
}

TEST_CASE("Qr: limits of text and scale", "[unit][qr]") {
  CHECK_OK(Encode(std::string(2331, 'a')));
  CHECK_THAT(Encode(std::string(2332, 'a')).status(),
             StatusIs(StatusCode::kInvalidArgument, "QR_TOO_LONG"));
  CHECK_THAT(Encode("").status(), StatusIs(StatusCode::kInvalidArgument, "QR_TOO_LONG"));
  CHECK(Encode("a").value().width() == 21);
  CHECK_FALSE(RenderPng(Encode("a").value(), 0).ok());
  CHECK_FALSE(RenderPng(Encode("a").value(), 65).ok());
}

TEST_CASE("ReleaseCode: both forms come back as the same release", "[unit][qr]") {
  const ReleaseCode code = SomeRelease();
  const std::string plain = FormatReleaseCode(code);
  CHECK(plain ==
        "slipway:release/rel-abc234?app=pocket-shop&platform=weixin&version=1.4.2%2Bbuild"
        "%207&digest=sha256:" +
            std::string(60, 'a') + "0123");
  CHECK(ParseReleaseCode(plain).value() == code);
  for (const char* base :
       {"https://farm.example", "http://10.0.0.1:7480/slipway/", "https://farm.example/r/nested"}) {
    const std::string url = FormatReleaseCode(code, base);
    INFO(url);
    CHECK(ParseReleaseCode(url).value() == code);
    CHECK(url.find("//r/") == std::string::npos);
  }
  ReleaseCode odd = code;
  odd.application = "a&b=c?d/e#f%";
  odd.version = "\xe7\x89\x88\xe6\x9c\xac 1";
  CHECK(ParseReleaseCode(FormatReleaseCode(odd)).value() == odd);
  CHECK(ParseReleaseCode(plain + "&later=1").value() == code);
}

TEST_CASE("ReleaseCode: what is not one is refused with the part that is wrong", "[unit][qr]") {
  const std::string digest = "&digest=sha256:" + std::string(64, 'a');
  const std::string good = "slipway:release/r1?app=a&platform=p&version=1" + digest;
  REQUIRE_OK(ParseReleaseCode(good));
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"", "begins with neither"},
           {"https://example.com/", "begins with neither"},
           {"slipway:release/?app=a&platform=p&version=1" + digest, "names no release"},
           {"slipway:release/r1/x?app=a&platform=p&version=1" + digest, "names no release"},
           {"slipway:release/r1", "\"app\" is missing"},
           {"slipway:release/r1?app=a&platform=&version=1" + digest, "\"platform\" is missing"},
           {good + "&app=b", "\"app\" appears twice"},
           {"slipway:release/r1?app=%4&platform=p&version=1" + digest, "broken percent"},
           {"slipway:release/r1?app=%zz&platform=p&version=1" + digest, "broken percent"},
           {"slipway:release/r1?app=a&platform=p&version=1&digest=sha256:12", "\"digest\""},
           {"slipway:release/r1?app=a&platform=p&version=1&digest=" + std::string(64, 'a'),
            "\"digest\""},
           {"slipway:release/" + std::string(5000, 'a'), "too long"}}) {
    INFO(text);
    CHECK_THAT(ParseReleaseCode(text).status(), StatusIs(StatusCode::kInvalidArgument, expected));
  }
}

}  // namespace
}  // namespace slipway::qr
