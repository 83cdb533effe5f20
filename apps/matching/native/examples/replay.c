/* Replays a file of stamped command frames in calls of random size, with snapshots and restores between them, and checks
   the structure each time: what runs under the sanitizers.

       replay FILE CLOSED_IDS_KEPT SEED [CALL_MAX [RESTORE_EVERY]] > events

   Restarts must not change a byte, so the events are those of one uninterrupted run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nebannpet_engine.h"

enum { FRAME_BYTES = 128 };

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    uint8_t *bytes = NULL;
    if (!fseek(file, 0, SEEK_END)) {
        const long end = ftell(file);
        rewind(file);
        *size = end > 0 ? (size_t)end : 0;
        bytes = malloc(*size + 1);
        if (bytes && fread(bytes, 1, *size, file) != *size) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

static nbp_engine *restarted(nbp_engine *engine, uint64_t seed) {
    const uint8_t *body;
    size_t size;
    nbp_error error;
    if (nbp_snapshot(engine, &body, &size) != NBP_OK) return NULL;
    uint8_t *copy = malloc(size); /* of exactly that size, so that reading behind it is seen */
    if (!copy) return NULL;
    memcpy(copy, body, size);
    nbp_free(engine);
    engine = nbp_restore(copy, size, seed, &error);
    if (!engine) fprintf(stderr, "restore: %s\n", error.text);
    free(copy);
    return engine;
}

int main(int count, char **words) {
    if (count < 4) return 2;
    size_t size = 0;
    uint8_t *frames = read_file(words[1], &size);
    uint64_t random = strtoull(words[3], NULL, 10) * 2654435769u + 88172645463325252u;
    const uint64_t call_max = count > 4 ? strtoull(words[4], NULL, 10) : 300;
    const uint64_t restore_every = count > 5 ? strtoull(words[5], NULL, 10) : 5000;
    nbp_engine *engine = frames ? nbp_create((uint32_t)strtoul(words[2], NULL, 10), 0, draw(&random)) : NULL;
    uint64_t since = 0;
    for (size_t at = 0; engine && at < size;) {
        size_t end = at;
        for (uint64_t runs = 1 + draw(&random) % call_max; runs && end < size; runs--, since++)
            end += (size_t)frames[end + 2] * FRAME_BYTES;
        const uint8_t *events;
        size_t events_size;
        if (nbp_process(engine, frames + at, end - at, &events, &events_size) != NBP_OK) {
            fprintf(stderr, "at byte %zu: %s\n", at, nbp_error_text(engine));
            return 1;
        }
        if (events_size && fwrite(events, events_size, 1, stdout) != 1) return 1;
        at = end;
        if (since < restore_every && at < size) continue;
        since = 0;
        if (nbp_validate(engine) != NBP_OK) {
            fprintf(stderr, "at byte %zu: %s\n", at, nbp_error_text(engine));
            return 1;
        }
        engine = restarted(engine, draw(&random));
    }
    if (!engine) return 1;
    nbp_free(engine);
    free(frames);
    return 0;
}
