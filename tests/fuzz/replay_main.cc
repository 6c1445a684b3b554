// Plays seeds through a fuzz target where there is no libFuzzer, then inputs made of them:
//   replay SEEDS... [--changed N]
// SEEDS are files, or folders of them; the N changed inputs are the same every time. What breaks
// the property aborts the program; the input is then in the file that was named last.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "tests/sim/sim_random.h"

namespace {

constexpr std::size_t kLargestInput = 4096;

void Play(const std::string& bytes) {
  (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

// One small change, of the kinds that a search without knowledge of the target has.
void Change(std::string& bytes, const std::vector<std::string>& seeds,
            slipway::sim::SimRandom& dice) {
  const std::size_t at = dice.Below(bytes.size() + 1);
  const std::size_t length = dice.Below(std::min<std::size_t>(bytes.size() - at, 16) + 1);
  switch (dice.Below(6)) {
    case 0:
      if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice.Below(8)));
      break;
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<char>(dice.Below(256));
      break;
    case 2: bytes.insert(at, 1, static_cast<char>(dice.Below(256))); break;
    case 3: bytes.erase(at, length); break;
    case 4: bytes.insert(dice.Below(bytes.size() + 1), bytes.substr(at, length)); break;
    default: {
      const std::string& other = seeds[dice.Below(seeds.size())];
      const std::size_t from = dice.Below(other.size() + 1);
      bytes.replace(at, length, other.substr(from, dice.Below(64)));
      break;
    }
  }
  if (bytes.size() > kLargestInput) bytes.resize(kLargestInput);
}

void PlayChanged(const std::vector<std::string>& seeds, int count, const std::string& file) {
  std::printf("%d changed inputs, each in %s while it is played\n", count, file.c_str());
  (void)std::fflush(stdout);
  std::FILE* const out = std::fopen(file.c_str(), "wb");
  slipway::sim::SimRandom dice(1);
  for (int i = 0; i < count; ++i) {
    std::string bytes = seeds[dice.Below(seeds.size())];
    for (std::uint64_t n = 1 + dice.Below(8); n > 0; --n) Change(bytes, seeds, dice);
    if (out != nullptr) {
      // Flushed, not synced: it has to outlive the process only.
      std::rewind(out);
      (void)std::fwrite(bytes.data(), 1, bytes.size(), out);
      (void)std::fflush(out);
      std::error_code ignored;
      std::filesystem::resize_file(file, bytes.size(), ignored);
    }
    Play(bytes);
  }
  if (out != nullptr) (void)std::fclose(out);
  (void)std::remove(file.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  int changed = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--changed" && i + 1 < argc) {
      const std::string_view number = argv[++i];
      (void)std::from_chars(number.data(), number.data() + number.size(), changed);
      continue;
    }
    if (std::filesystem::is_regular_file(argument)) {
      files.emplace_back(argument);
      continue;
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(argument, error)) {
      files.push_back(entry.path());
    }
    if (error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.message().c_str());
      return 2;
    }
  }
  // The order of a folder is the file system's.
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (const std::filesystem::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    // Said before, so that the last line names the seed that aborts.
    std::printf("%s: %zu bytes\n", file.filename().c_str(), seeds.back().size());
    (void)std::fflush(stdout);
    Play(seeds.back());
  }
  if (seeds.empty()) return 2;
  const std::filesystem::path program = argv[0];
  if (changed > 0) PlayChanged(seeds, changed, program.filename().string() + "-input");
  std::printf("%zu seeds, %d changed inputs\n", seeds.size(), changed);
  return 0;
}
