// Runs a fuzz target over committed files, as an ordinary test: every file, and every folder's
// files.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void replay(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  std::printf("replay %s size=%zu\n", path.c_str(), bytes.size());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  int file_count = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      replay(argv[i]);
      ++file_count;
      continue;
    }
    for (const auto& found : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!found.is_regular_file()) continue;
      replay(found.path());
      ++file_count;
    }
  }
  std::printf("files=%d\n", file_count);
  return file_count > 0 ? 0 : 1;
}
