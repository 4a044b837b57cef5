/* Preloaded into a program, this lets its N-th call of one kind fail, for files below one folder.
 *
 * The counters are in shared memory, so that those of forked processes count together. Nothing is counted before
 * fault_arm. Where a call takes a descriptor, the file is looked up in /proc/self/fd.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, OPEN, READ, WRITE, FSYNC, CLOSE, RENAME, UNLINK, MKDIR, MMAP, TRUNCATE, STAT, LIST, ALLOCATE };
enum { SHORT = -1, KILL = -2 };  /* in place of an errno */

static struct plan {
    int call;         /* which kind is counted */
    int error;        /* errno of the failure, or SHORT, or KILL */
    int lasting;      /* all later calls fail, too */
    long at;          /* number of the call that fails, from 1 */
    long least;       /* smallest allocation that is counted, in bytes */
    long hits;        /* calls that were counted */
    long failed;      /* calls that failed */
    char folder[PATH_MAX];
} *plan;

__attribute__((constructor)) static void start(void) {
    plan = (struct plan *)syscall(SYS_mmap, NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void fault_arm(int call, long at, int error, int lasting, long least, const char *folder) {
    plan->call = NOTHING;
    plan->at = at, plan->error = error, plan->lasting = lasting, plan->least = least;
    plan->hits = plan->failed = 0;
    snprintf(plan->folder, sizeof plan->folder, "%s", folder);
    __atomic_store_n(&plan->call, call, __ATOMIC_SEQ_CST);
}

void fault_disarm(void) { __atomic_store_n(&plan->call, NOTHING, __ATOMIC_SEQ_CST); }
long fault_hits(void) { return plan->hits; }
long fault_failed(void) { return plan->failed; }

static int counts(int call) { return plan && __atomic_load_n(&plan->call, __ATOMIC_SEQ_CST) == call; }

/* Whether the call that is about to happen has to fail; errno is set then. */
static int fails(void) {
    long number = __atomic_add_fetch(&plan->hits, 1, __ATOMIC_SEQ_CST);
    if (number != plan->at && !(plan->lasting && number > plan->at)) return 0;
    __atomic_add_fetch(&plan->failed, 1, __ATOMIC_SEQ_CST);
    if (plan->error == KILL) syscall(SYS_kill, getpid(), SIGKILL);
    if (plan->error > 0) errno = plan->error;
    return 1;
}

static int is_below(const char *path) {
    size_t length = strlen(plan->folder);
    return strncmp(path, plan->folder, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int is_ours(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int is_ours_at(int folder, const char *path) {
    if (path[0] == '/') return is_below(path);
    if (folder != AT_FDCWD) return is_ours(folder);
    char here[PATH_MAX];
    return syscall(SYS_getcwd, here, sizeof here) > 0 && is_below(here);
}

static int fails_fd(int call, int descriptor) { return counts(call) && is_ours(descriptor) && fails(); }
static int fails_at(int call, int folder, const char *path) {
    return counts(call) && path && is_ours_at(folder, path) && fails();
}
static int fails_path(int call, const char *path) { return fails_at(call, AT_FDCWD, path); }

#define REAL(name) ({ static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); real; })
#define MODE(flags) ({ int mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); \
    mode = va_arg(more, int); va_end(more); } mode; })

int open(const char *path, int flags, ...) {
    int mode = MODE(flags);
    return fails_path(OPEN, path) ? -1 : REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    int mode = MODE(flags);
    return fails_path(OPEN, path) ? -1 : REAL(open64)(path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    int mode = MODE(flags);
    return fails_at(OPEN, folder, path) ? -1 : REAL(openat)(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    int mode = MODE(flags);
    return fails_at(OPEN, folder, path) ? -1 : REAL(openat64)(folder, path, flags, mode);
}
FILE *fopen(const char *path, const char *mode) { return fails_path(OPEN, path) ? NULL : REAL(fopen)(path, mode); }
FILE *fopen64(const char *path, const char *mode) { return fails_path(OPEN, path) ? NULL : REAL(fopen64)(path, mode); }

/* A short read or write is half of what was asked for; any other failure is -1. */
#define TRANSFER(call, name, descriptor, buffer, count, ...) \
    if (fails_fd(call, descriptor)) { \
        if (plan->error != SHORT) return -1; \
        return REAL(name)(descriptor, buffer, (count + 1) / 2, ##__VA_ARGS__); \
    } \
    return REAL(name)(descriptor, buffer, count, ##__VA_ARGS__);

ssize_t read(int descriptor, void *buffer, size_t count) { TRANSFER(READ, read, descriptor, buffer, count) }
ssize_t pread(int descriptor, void *buffer, size_t count, off_t offset) {
    TRANSFER(READ, pread, descriptor, buffer, count, offset)
}
ssize_t pread64(int descriptor, void *buffer, size_t count, off64_t offset) {
    TRANSFER(READ, pread64, descriptor, buffer, count, offset)
}
ssize_t write(int descriptor, const void *buffer, size_t count) { TRANSFER(WRITE, write, descriptor, buffer, count) }
ssize_t pwrite64(int descriptor, const void *buffer, size_t count, off64_t offset) {
    TRANSFER(WRITE, pwrite64, descriptor, buffer, count, offset)
}

/* Of several buffers, a short transfer fills half of the first one. */
#define VECTORS(call, real, single, descriptor, vectors, offset) \
    if (fails_fd(call, descriptor)) { \
        if (plan->error != SHORT) return -1; \
        return single(descriptor, vectors[0].iov_base, (vectors[0].iov_len + 1) / 2, offset); \
    } \
    return real;

ssize_t preadv(int descriptor, const struct iovec *vectors, int count, off_t offset) {
    VECTORS(READ, REAL(preadv)(descriptor, vectors, count, offset), REAL(pread64), descriptor, vectors, offset)
}
ssize_t preadv64v2(int descriptor, const struct iovec *vectors, int count, off64_t offset, int flags) {
    VECTORS(READ, REAL(preadv64v2)(descriptor, vectors, count, offset, flags), REAL(pread64), descriptor, vectors, offset)
}
ssize_t pwritev64v2(int descriptor, const struct iovec *vectors, int count, off64_t offset, int flags) {
    VECTORS(WRITE, REAL(pwritev64v2)(descriptor, vectors, count, offset, flags), REAL(pwrite64), descriptor, vectors, offset)
}
size_t fread(void *buffer, size_t size, size_t count, FILE *file) {
    int is_tried = counts(READ) && plan->error != SHORT;  /* the C library reads on after a short read */
    return is_tried && fails_fd(READ, fileno(file)) ? 0 : REAL(fread)(buffer, size, count, file);
}

int fsync(int descriptor) { return fails_fd(FSYNC, descriptor) ? -1 : REAL(fsync)(descriptor); }
int fdatasync(int descriptor) { return fails_fd(FSYNC, descriptor) ? -1 : REAL(fdatasync)(descriptor); }

int close(int descriptor) {  /* as on NFS: the descriptor is closed, and the data may be lost */
    int failed = fails_fd(CLOSE, descriptor);
    int result = REAL(close)(descriptor);
    if (failed) errno = plan->error;
    return failed ? -1 : result;
}

int rename(const char *from, const char *to) { return fails_path(RENAME, from) ? -1 : REAL(rename)(from, to); }
int renameat(int folder, const char *from, int other, const char *to) {
    return fails_at(RENAME, folder, from) ? -1 : REAL(renameat)(folder, from, other, to);
}
int link(const char *from, const char *to) { return fails_path(RENAME, to) ? -1 : REAL(link)(from, to); }
int linkat(int folder, const char *from, int other, const char *to, int flags) {
    return fails_at(RENAME, other, to) ? -1 : REAL(linkat)(folder, from, other, to, flags);
}
int unlink(const char *path) { return fails_path(UNLINK, path) ? -1 : REAL(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) {
    return fails_at(UNLINK, folder, path) ? -1 : REAL(unlinkat)(folder, path, flags);
}
int rmdir(const char *path) { return fails_path(UNLINK, path) ? -1 : REAL(rmdir)(path); }
int mkdir(const char *path, mode_t mode) { return fails_path(MKDIR, path) ? -1 : REAL(mkdir)(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
    return fails_at(MKDIR, folder, path) ? -1 : REAL(mkdirat)(folder, path, mode);
}

void *mmap(void *at, size_t length, int protection, int flags, int descriptor, off_t offset) {
    if (descriptor >= 0 && fails_fd(MMAP, descriptor)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, length, protection, flags, descriptor, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int descriptor, off64_t offset) {
    return mmap(at, length, protection, flags, descriptor, offset);
}
int ftruncate(int descriptor, off_t length) { return fails_fd(TRUNCATE, descriptor) ? -1 : REAL(ftruncate)(descriptor, length); }
int ftruncate64(int descriptor, off64_t length) {
    return fails_fd(TRUNCATE, descriptor) ? -1 : REAL(ftruncate64)(descriptor, length);
}

int stat64(const char *path, struct stat64 *found) { return fails_path(STAT, path) ? -1 : REAL(stat64)(path, found); }
int lstat64(const char *path, struct stat64 *found) { return fails_path(STAT, path) ? -1 : REAL(lstat64)(path, found); }
int fstat64(int descriptor, struct stat64 *found) {
    return fails_fd(STAT, descriptor) ? -1 : REAL(fstat64)(descriptor, found);
}
int fstatat64(int folder, const char *path, struct stat64 *found, int flags) {
    return fails_at(STAT, folder, path) ? -1 : REAL(fstatat64)(folder, path, found, flags);
}

DIR *opendir(const char *path) { return fails_path(LIST, path) ? NULL : REAL(opendir)(path); }
DIR *fdopendir(int descriptor) { return fails_fd(LIST, descriptor) ? NULL : REAL(fdopendir)(descriptor); }
struct dirent64 *readdir64(DIR *folder) {
    return counts(LIST) && fails_fd(LIST, dirfd(folder)) ? NULL : REAL(readdir64)(folder);
}

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static int is_refused(size_t size) { return counts(ALLOCATE) && (long)size >= plan->least && fails(); }

void *malloc(size_t size) { return is_refused(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return is_refused(count * size) ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return is_refused(size) ? NULL : __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return is_refused(size) ? NULL : __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **found, size_t alignment, size_t size) {
    if (is_refused(size)) return ENOMEM;
    *found = __libc_memalign(alignment, size);
    return *found ? 0 : ENOMEM;
}
