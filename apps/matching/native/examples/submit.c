/* One command a call, without an interpreter: reads stamped command frames from standard input, writes their events to
   standard output, and says at the end how many there were. Build it together with src/nebannpet_engine.c. */
#include <stdio.h>
#include <stdlib.h>

#include "nebannpet_engine.h"

enum { FRAME_BYTES = 128, PARTS_MAX = 8, EVENTS_ROOM = 64 * 192 };

int main(void) {
    static uint8_t run[PARTS_MAX * FRAME_BYTES], room[EVENTS_ROOM];
    unsigned long commands = 0;
    nbp_engine *engine = nbp_create(1000000, 0, 42);
    if (!engine) {
        fprintf(stderr, "no memory for an engine\n");
        return 1;
    }
    while (fread(run, FRAME_BYTES, 1, stdin) == 1) {
        const size_t more = run[2] > 1 && run[2] <= PARTS_MAX ? run[2] - 1u : 0; /* frames of the same command */
        if (fread(run + FRAME_BYTES, FRAME_BYTES, more, stdin) != more) break;
        size_t size;
        const uint8_t *events = room;
        int32_t status = nbp_submit(engine, run, (more + 1) * FRAME_BYTES, room, sizeof room, &size);
        if (status == NBP_BUFFER_TOO_SMALL) { /* applied all the same: a cancel of very many orders */
            events = nbp_events(engine, &size);
            status = NBP_OK;
        }
        if (status != NBP_OK) {
            fprintf(stderr, "command %lu: %s\n", commands, nbp_error_text(engine));
            nbp_free(engine);
            return 1;
        }
        if (size && fwrite(events, size, 1, stdout) != 1) break;
        commands++;
    }
    fprintf(stderr, "%lu commands, %llu events\n", commands, (unsigned long long)nbp_seq(engine));
    nbp_free(engine);
    return 0;
}
