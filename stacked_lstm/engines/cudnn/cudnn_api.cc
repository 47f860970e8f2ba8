#include "cudnn_api.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

namespace stacked_lstm {
namespace cudnn {
namespace {

// Names another library. Tests use it.
constexpr const char* kVariable = "STACKED_LSTM_CUDNN_LIBRARY";

struct Opened {
  Api api = {};
  bool usable = false;
  std::string problem;
};

// TensorFlow has usually opened the library already, from a folder that the system does not search.
void* OpenLibrary(std::string* problem) {
  const char* named = std::getenv(kVariable);
  if (named != nullptr && *named != '\0') {
    void* library = dlopen(named, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) *problem = dlerror();
    return library;
  }
  for (const int flags : {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW | RTLD_LOCAL}) {
    for (const char* name : {"libcudnn.so.9", "libcudnn.so.8"}) {
      if (void* library = dlopen(name, flags)) return library;
    }
  }
  *problem = std::string("neither libcudnn.so.9 nor libcudnn.so.8 can be opened: ") + dlerror();
  return nullptr;
}

Opened Open() {
  Opened opened;
  void* library = OpenLibrary(&opened.problem);
  if (library == nullptr) return opened;
#define STACKED_LSTM_CUDNN_FIND(name, result, parameters)                               \
  opened.api.name = reinterpret_cast<result(*) parameters>(dlsym(library, #name));      \
  if (opened.api.name == nullptr) {                                                     \
    opened.problem = "cuDNN has no function " #name ", which versions from 8.9.1 have"; \
    return opened;                                                                      \
  }
  STACKED_LSTM_CUDNN_FUNCTIONS(STACKED_LSTM_CUDNN_FIND)
#undef STACKED_LSTM_CUDNN_FIND
  const size_t version = opened.api.cudnnGetVersion();
  opened.usable = version >= kOldestVersion;
  if (!opened.usable) opened.problem = "cuDNN is older than 8.9.1: its version number is " + std::to_string(version);
  return opened;
}

}  // namespace

const Api* OpenCudnn(const char** problem) {
  static const Opened* const opened = new Opened(Open());  // Never destroyed: other threads may still use it at exit.
  *problem = opened->problem.c_str();
  return opened->usable ? &opened->api : nullptr;
}

}  // namespace cudnn
}  // namespace stacked_lstm

// What Python asks before it uses the ops: null if they can run, else a sentence that says why not.
extern "C" __attribute__((visibility("default"))) const char* StackedLstmCudnnProblem() {
  const char* problem = nullptr;
  return stacked_lstm::cudnn::OpenCudnn(&problem) == nullptr ? problem : nullptr;
}
