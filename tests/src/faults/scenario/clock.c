/* The clock of the day as a program sees it, wrong by as many seconds as the file named by CLOCK_OFFSET_FILE says: a 64-bit number
 * in the machine's byte order, which may change at any moment. To be preloaded (LD_PRELOAD).
 *
 * Only what asks for the time sees it: clocks that go forward evenly are right, and so is gettimeofday, from which librdkafka makes
 * the instants that it waits for. The kernel, which ends those waits, knows nothing of this clock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void open_offset(void) {
    const char *path = getenv("CLOCK_OFFSET_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    /* A program with the right time would pass for one with a wrong time. */
    if (shared == MAP_FAILED)
        abort();
    close(file);
    offset = shared;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += *offset;
    return result;
}
