/* Preloaded into a program under test: its wall clock by an offset, its disk full or slow, as a page shared with the rig says.
   It changes nothing while the page is zero. FAULTS_PAGE names the page's file, FAULTS_DISK the beginning of the paths that it spoils. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct page { int64_t offset_ns; int64_t full; int64_t slow_ms; };

static struct page zero;
static volatile struct page *page = &zero;
static const char *disk = "";

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void attach(void) {
    const char *file = getenv("FAULTS_PAGE"), *folder = getenv("FAULTS_DISK");
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *found = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (found != MAP_FAILED) page = found;
    }
    if (folder) disk = folder;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = REAL(clock_gettime);
    int result = real(id, at);
    if (result == 0 && page->offset_ns && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t whole = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec + page->offset_ns;
        at->tv_sec = whole / 1000000000;
        at->tv_nsec = whole % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

static int spoilt(int fd) {
    char link[40], path[4096];
    if (!*disk || (!page->full && !page->slow_ms)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length >= (ssize_t)strlen(disk) && strncmp(path, disk, strlen(disk)) == 0;
}

/* Returns 1 where a write must fail for want of room. */
static int hinder(int fd) {
    int saved = errno;
    if (spoilt(fd)) {
        if (page->full) { errno = ENOSPC; return 1; }
        usleep((useconds_t)(page->slow_ms * 1000));
    }
    errno = saved;
    return 0;
}

#define WRITER(type, name, parameters, arguments)          \
    type name parameters {                                 \
        static type (*real) parameters;                    \
        if (!real) real = REAL(name);                      \
        return hinder(fd) ? -1 : real arguments;           \
    }

WRITER(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRITER(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITER(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRITER(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITER(int, fsync, (int fd), (fd))
WRITER(int, fdatasync, (int fd), (fd))
