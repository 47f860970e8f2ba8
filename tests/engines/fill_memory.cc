// A library for LD_PRELOAD that fills new memory with ones, which are NaN as numbers: what nobody writes is NaN then.

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

extern "C" void* __libc_malloc(size_t size);

extern "C" void* malloc(size_t size) {
  void* const memory = __libc_malloc(size);
  if (memory) std::memset(memory, 0xff, size);
  return memory;
}

extern "C" int posix_memalign(void** memory, size_t alignment, size_t size) {
  static const auto function = reinterpret_cast<int (*)(void**, size_t, size_t)>(dlsym(RTLD_NEXT, "posix_memalign"));
  const int error = function(memory, alignment, size);
  if (!error) std::memset(*memory, 0xff, size);
  return error;
}

extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  static const auto function = reinterpret_cast<void* (*)(size_t, size_t)>(dlsym(RTLD_NEXT, "aligned_alloc"));
  void* const memory = function(alignment, size);
  if (memory) std::memset(memory, 0xff, size);
  return memory;
}

extern "C" void* memalign(size_t alignment, size_t size) {
  static const auto function = reinterpret_cast<void* (*)(size_t, size_t)>(dlsym(RTLD_NEXT, "memalign"));
  void* const memory = function(alignment, size);
  if (memory) std::memset(memory, 0xff, size);
  return memory;
}
