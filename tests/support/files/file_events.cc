// A library to preload. It counts the calls of this process that change files in a folder, and at a chosen one the
// process kills itself: before a change of names, and in the middle of a write.

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((decltype(&name))dlsym(RTLD_NEXT, #name))
#define ANY extern "C" __attribute__((visibility("default")))

static char folder[PATH_MAX];  // Empty: nothing is counted.
static long count = 0, last = -1;

ANY void file_events_start(const char* path, long number) {
  count = 0;
  last = number;
  strncpy(folder, path, sizeof folder - 1);
}

ANY long file_events_count() { return count; }

static bool inside(const char* path) {
  return folder[0] && path && strncmp(path, folder, strlen(folder)) == 0;
}

static bool inside(int descriptor) {
  char link[64], path[PATH_MAX] = {0};
  if (!folder[0] || descriptor < 0) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  return readlink(link, path, sizeof path - 1) > 0 && inside(path);
}

static bool inside(int descriptor, const char* path) {
  return path && path[0] != '/' && descriptor != AT_FDCWD ? inside(descriptor) : inside(path);
}

static bool is_last() { return count++ == last; }

static void die() {
  kill(getpid(), SIGKILL);
  pause();
}

#define EVENT(is_inside) \
  if ((is_inside) && is_last()) die()

#define OPEN(name)                                                       \
  ANY int name(const char* path, int flags, ...) {                       \
    va_list rest;                                                        \
    va_start(rest, flags);                                               \
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;    \
    va_end(rest);                                                        \
    EVENT((flags & (O_CREAT | O_TRUNC)) && inside(path));                \
    return REAL(name)(path, flags, mode);                                \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                     \
  ANY int name(int at, const char* path, int flags, ...) {               \
    va_list rest;                                                        \
    va_start(rest, flags);                                               \
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;    \
    va_end(rest);                                                        \
    EVENT((flags & (O_CREAT | O_TRUNC)) && inside(at, path));            \
    return REAL(name)(at, path, flags, mode);                            \
  }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                     \
  ANY FILE* name(const char* path, const char* mode) {  \
    EVENT(mode[0] != 'r' && inside(path));              \
    return REAL(name)(path, mode);                      \
  }
FOPEN(fopen)
FOPEN(fopen64)

ANY ssize_t write(int file, const void* data, size_t size) {
  if (inside(file) && is_last()) {
    REAL(write)(file, data, size / 2);
    die();
  }
  return REAL(write)(file, data, size);
}

ANY ssize_t writev(int file, const struct iovec* parts, int number) {
  EVENT(inside(file));
  return REAL(writev)(file, parts, number);
}

#define PWRITE(name, offset_type)                                                  \
  ANY ssize_t name(int file, const void* data, size_t size, offset_type place) {   \
    EVENT(inside(file));                                                           \
    return REAL(name)(file, data, size, place);                                    \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ANY size_t fwrite(const void* data, size_t size, size_t number, FILE* file) {
  if (inside(fileno(file)) && is_last()) {
    REAL(fwrite)(data, size, number / 2, file);
    REAL(fflush)(file);
    die();
  }
  return REAL(fwrite)(data, size, number, file);
}

#define ONE(name, type, argument)     \
  ANY int name(type argument) {       \
    EVENT(inside(argument));          \
    return REAL(name)(argument);      \
  }
ONE(unlink, const char*, path)
ONE(rmdir, const char*, path)
ONE(remove, const char*, path)
ONE(fsync, int, file)
ONE(fdatasync, int, file)

ANY int fflush(FILE* file) {
  EVENT(file && inside(fileno(file)));
  return REAL(fflush)(file);
}

ANY int fclose(FILE* file) {
  EVENT(inside(fileno(file)));
  return REAL(fclose)(file);
}

ANY int ftruncate(int file, off_t size) {
  EVENT(inside(file));
  return REAL(ftruncate)(file, size);
}

ANY int mkdir(const char* path, mode_t mode) {
  EVENT(inside(path));
  return REAL(mkdir)(path, mode);
}

ANY int chmod(const char* path, mode_t mode) {
  EVENT(inside(path));
  return REAL(chmod)(path, mode);
}

ANY int unlinkat(int at, const char* path, int flags) {
  EVENT(inside(at, path));
  return REAL(unlinkat)(at, path, flags);
}

ANY int rename(const char* from, const char* to) {
  EVENT(inside(to));
  return REAL(rename)(from, to);
}

ANY int renameat(int from_at, const char* from, int to_at, const char* to) {
  EVENT(inside(to_at, to));
  return REAL(renameat)(from_at, from, to_at, to);
}
