/* A disk that can be read back as of any moment, and told to fail. Preloaded into the real binary, it writes down each
 * write, truncation, flush and removal of files in FAULTY_DISK_DIRECTORY, in the order in which they happen, and fails
 * calls as FAULTY_DISK_CONTROL says: four 32-bit words, shared with the test.
 *
 * SQLite's shared memory (-shm) is left out: it is mapped, and nothing of it outlives a power failure. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As in image.rs. */
enum kind { WRITE = 1, TRUNCATE = 2, FLUSH = 3, FLUSH_FAILED = 4, REMOVE = 5 };
struct head { uint32_t kind, path_length; uint64_t offset, length; };

/* As in disk.rs: flushes to pass before one fails (counted from 1; 0 for never), the errno of each write, calls failed. */
struct control { volatile uint32_t flushes_until_failure, write_errno, failed; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static struct control *control;
static int journal = -1;

__attribute__((constructor)) static void start(void) {
    const char *journal_path = getenv("FAULTY_DISK_JOURNAL"), *control_path = getenv("FAULTY_DISK_CONTROL");
    directory = getenv("FAULTY_DISK_DIRECTORY");
    if (!directory || !journal_path || !control_path) { directory = NULL; return; }
    journal = syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int file = syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (journal < 0 || control == MAP_FAILED) abort();
}

static int is_watched(const char *path) {
    size_t length = strlen(path), prefix = strlen(directory);
    if (strncmp(path, directory, prefix) != 0) return 0;
    return !(length > 4 && strcmp(path + length - 4, "-shm") == 0);
}

/* The path behind a descriptor, if it is one of ours. */
static int find(int fd, char path[PATH_MAX]) {
    if (!directory) return 0;
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_watched(path);
}

static void record(enum kind kind, const char *path, uint64_t offset, const void *data, uint64_t length) {
    struct head head = { kind, strlen(path), offset, length };
    struct iovec parts[3] = { { &head, sizeof head }, { (void *)path, head.path_length }, { (void *)data, length } };
    ssize_t whole = sizeof head + head.path_length + length;
    if (syscall(SYS_writev, journal, parts, data ? 3 : 2) != (data ? whole : whole - (ssize_t)length)) abort();
}

static int fail(int with) {
    control->failed++;
    errno = with;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    char path[PATH_MAX];
    if (!find(fd, path)) return syscall(SYS_pwrite64, fd, data, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t written = control->write_errno ? fail(control->write_errno) : syscall(SYS_pwrite64, fd, data, length, offset);
    if (written > 0) record(WRITE, path, offset, data, written);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return pwrite(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
    char path[PATH_MAX];
    if (!find(fd, path)) return syscall(SYS_write, fd, data, length);
    pthread_mutex_lock(&lock);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = control->write_errno ? fail(control->write_errno) : syscall(SYS_write, fd, data, length);
    if (written > 0) record(WRITE, path, offset, data, written);
    pthread_mutex_unlock(&lock);
    return written;
}

int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    if (!find(fd, path)) return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0) record(TRUNCATE, path, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int flush(int number, int fd) {
    char path[PATH_MAX];
    if (!find(fd, path)) return syscall(number, fd);
    pthread_mutex_lock(&lock);
    int result;
    if (control->flushes_until_failure && --control->flushes_until_failure == 0) {
        /* As Linux does it: the pages that could not be written count as clean from now on. */
        result = fail(EIO);
        record(FLUSH_FAILED, path, 0, NULL, 0);
    } else {
        result = syscall(number, fd);
        if (result == 0) record(FLUSH, path, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return flush(SYS_fsync, fd); }
int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }

int unlink(const char *path) {
    if (!directory || !is_watched(path)) return syscall(SYS_unlink, path);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_unlink, path);
    if (result == 0) record(REMOVE, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
