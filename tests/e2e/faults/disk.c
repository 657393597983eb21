/* A disk that fails on demand, below everything a node knows: loaded in front of the C library, it
 * answers writes and flushes of a node's database as the file named by FENBU_TEST_DISK says.
 *
 * The file holds `OPERATION ERROR EVERY`: write, sync, truncate or all; EIO, ENOSPC, EROFS or SHORT
 * (half is written, at one byte none); every how many-th such call. An empty file is a good disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { GOOD = 0, SHORT = -1 };

static atomic_ulong calls;

static int is_database(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/fenbu.db") != NULL;
}

/* GOOD, SHORT, or the errno of this call. */
static int verdict(int fd, const char *operation) {
    const char *file = getenv("FENBU_TEST_DISK");
    if (file == NULL || !is_database(fd)) return GOOD;
    int saved = errno;
    FILE *control = fopen(file, "re");
    char which[16] = "", error[16] = "";
    unsigned long every = 0;
    int read = control == NULL ? 0 : fscanf(control, "%15s %15s %lu", which, error, &every);
    if (control != NULL) fclose(control);
    errno = saved;
    if (read != 3 || every == 0) return GOOD;
    if (strcmp(which, "all") != 0 && strcmp(which, operation) != 0) return GOOD;
    if (atomic_fetch_add(&calls, 1) % every != 0) return GOOD;
    if (strcmp(error, "SHORT") == 0) return SHORT;
    if (strcmp(error, "ENOSPC") == 0) return ENOSPC;
    if (strcmp(error, "EROFS") == 0) return EROFS;
    return EIO;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The bytes to write in truth; negative if the call is to fail. */
static ssize_t shortened(int fd, size_t count) {
    int found = verdict(fd, "write");
    if (found == GOOD) return (ssize_t)count;
    if (found == SHORT) return (ssize_t)(count / 2);
    errno = found;
    return -1;
}

static int fails(int fd, const char *operation) {
    int found = verdict(fd, operation);
    if (found == GOOD || found == SHORT) return 0;
    errno = found;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    ssize_t some = shortened(fd, count);
    return some < 0 ? -1 : REAL(write)(fd, bytes, (size_t)some);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    ssize_t some = shortened(fd, count);
    return some < 0 ? -1 : REAL(pwrite)(fd, bytes, (size_t)some, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    ssize_t some = shortened(fd, count);
    return some < 0 ? -1 : REAL(pwrite64)(fd, bytes, (size_t)some, at);
}

int fsync(int fd) { return fails(fd, "sync") ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails(fd, "sync") ? -1 : REAL(fdatasync)(fd); }

int ftruncate(int fd, off_t length) {
    return fails(fd, "truncate") ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    return fails(fd, "truncate") ? -1 : REAL(ftruncate64)(fd, length);
}
