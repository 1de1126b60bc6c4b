/* A wall clock that is off by what a file says: nanoseconds as 8 bytes, read at every look, so that it can be stepped
 * while the process runs. The monotonic clocks are left alone, as setting the time of day leaves them alone.
 * Time namespaces move those and not this one, and setting the machine's own clock would be felt by everybody. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *off_ns;

__attribute__((constructor)) static void open_file(void) {
    int descriptor = open(getenv("CLOCK_OFF_FILE"), O_RDONLY | O_CLOEXEC);
    off_ns = mmap(NULL, sizeof *off_ns, PROT_READ, MAP_SHARED, descriptor, 0);
    close(descriptor);
}

int clock_gettime(clockid_t clock, struct timespec *told) {
    int failed = (int)syscall(SYS_clock_gettime, clock, told);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t now_ns = told->tv_sec * 1000000000LL + told->tv_nsec + (off_ns ? *off_ns : 0);
        told->tv_sec = now_ns / 1000000000LL;
        told->tv_nsec = now_ns % 1000000000LL;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict told, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}
