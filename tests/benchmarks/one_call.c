/* What one command costs from outside, without an interpreter: one_call FRAMES SETUP FILLED COUNT
   FRAMES is a file of stamped command frames: SETUP frames, then FILLED and COUNT commands of one frame each. The first
   two go in at once; of the last each is one nbp_submit() between two readings of the clock. Prints nanoseconds:
   p50 p99 p99.9 and what two readings of the clock take by themselves. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nebannpet_engine.h"

enum { FRAME_BYTES = 128, ROOM = 1 << 20 };

static uint8_t room[ROOM];

static uint32_t ns_since(const struct timespec *from) {
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (uint32_t)((to.tv_sec - from->tv_sec) * 1000000000 + to.tv_nsec - from->tv_nsec);
}

static int smaller_first(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const size_t setup = strtoul(argv[2], NULL, 10), filled = strtoul(argv[3], NULL, 10);
    const size_t count = strtoul(argv[4], NULL, 10), size = (setup + filled + count) * FRAME_BYTES;
    FILE *file = fopen(argv[1], "rb");
    uint8_t *frames = malloc(size ? size : 1);
    uint32_t *took = malloc((count ? count : 1) * sizeof *took);
    nbp_engine *engine = nbp_create(1000000, 0, 42);
    if (!file || !frames || !took || !engine || fread(frames, 1, size, file) != size) {
        fprintf(stderr, "%s does not have %zu bytes, or there is no memory\n", argv[1], size);
        return 1;
    }
    fclose(file);
    if (nbp_reserve(engine, 64u << 20) != NBP_OK) { /* as the matching process does */
        fprintf(stderr, "no memory to reserve\n");
        return 1;
    }
    const uint8_t *events;
    size_t events_size;
    if (nbp_process(engine, frames, (setup + filled) * FRAME_BYTES, &events, &events_size) != NBP_OK) {
        fprintf(stderr, "before the clock: %s\n", nbp_error_text(engine));
        return 1;
    }
    const uint8_t *at = frames + (setup + filled) * FRAME_BYTES;
    for (size_t number = 0; number < count; number++, at += FRAME_BYTES) {
        struct timespec from;
        clock_gettime(CLOCK_MONOTONIC, &from);
        const int32_t status = nbp_submit(engine, at, FRAME_BYTES, room, ROOM, &events_size);
        took[number] = ns_since(&from);
        if (status != NBP_OK) {
            fprintf(stderr, "command %zu: %s\n", number, nbp_error_text(engine));
            return 1;
        }
    }
    qsort(took, count, sizeof *took, smaller_first);
    printf("%u %u %u ", took[count / 2], took[count * 99 / 100], took[count * 999 / 1000]);
    for (size_t number = 0; number < count; number++) {
        struct timespec from;
        clock_gettime(CLOCK_MONOTONIC, &from);
        took[number] = ns_since(&from);
    }
    qsort(took, count, sizeof *took, smaller_first);
    printf("%u\n", took[count / 2]);
    nbp_free(engine);
    free(took);
    free(frames);
    return 0;
}
