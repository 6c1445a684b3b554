// Plays seeds through a fuzz target where there is no libFuzzer: replay SEEDS...
// (files, or folders of them). A seed that breaks the property aborts the program.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/fuzz_target.h"

namespace {

void Play(const std::filesystem::path& seed) {
  std::ifstream in(seed, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  // Said before, so that the last line names the seed that aborts.
  std::printf("%s: %zu bytes\n", seed.filename().c_str(), bytes.size());
  (void)std::fflush(stdout);
  (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  int played = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_regular_file(argv[i])) {
      Play(argv[i]);
      ++played;
      continue;
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i], error)) {
      Play(entry.path());
      ++played;
    }
    if (error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.message().c_str());
      return 2;
    }
  }
  std::printf("%d seeds\n", played);
  return played > 0 ? 0 : 2;
}
