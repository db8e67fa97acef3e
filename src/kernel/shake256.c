/* SHAKE-256 (FIPS 202), for messages of one block: a secret behind its tag. */
#include "hash.h"

#include <string.h>

#define RATE 136

static uint64_t rotate(uint64_t lane, unsigned by) { return by ? lane << by | lane >> (64 - by) : lane; }

/* The constants of iota, and the offsets of rho along the way that pi takes through the lanes. */
static const uint64_t IOTA[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};
static const uint8_t RHO[24] = {1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44};
static const uint8_t PI[24] = {10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1};

static void permute(uint64_t lanes[25]) {
    for (int round = 0; round < 24; round++) {
        uint64_t column[5], carried = lanes[1];
        for (int x = 0; x < 5; x++)
            column[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
        for (int x = 0; x < 5; x++) {
            uint64_t mixed = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
            for (int y = 0; y < 25; y += 5) lanes[y + x] ^= mixed;
        }
        carried = lanes[1];
#pragma GCC unroll 24
        for (int at = 0; at < 24; at++) {
            uint64_t next = lanes[PI[at]];
            lanes[PI[at]] = rotate(carried, RHO[at]);
            carried = next;
        }
        for (int y = 0; y < 25; y += 5) {
            uint64_t row[5];
            memcpy(row, lanes + y, sizeof row);
            for (int x = 0; x < 5; x++) lanes[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
        }
        lanes[0] ^= IOTA[round];
    }
}

static void write_lanes(uint8_t bytes[RATE], const uint64_t *lanes) {
    for (int at = 0; at < RATE; at++) bytes[at] = (uint8_t)(lanes[at / 8] >> (8 * (at % 8)));
}

static void absorb(uint64_t lanes[25], const uint8_t block[RATE]) {
    for (int at = 0; at < RATE; at++) lanes[at / 8] ^= (uint64_t)block[at] << (8 * (at % 8));
    permute(lanes);
}

void shake256(const void *first, size_t first_size, const void *second, size_t second_size, uint8_t *out, size_t size) {
    uint64_t lanes[25] = {0};
    uint8_t block[RATE] = {0};
    size_t filled = 0;
    const uint8_t *parts[2] = {first, second};
    const size_t sizes[2] = {first_size, second_size};
    for (int part = 0; part < 2; part++)
        for (size_t at = 0; at < sizes[part]; at++) {
            block[filled++] = parts[part][at];
            if (filled == RATE) {
                absorb(lanes, block);
                memset(block, 0, RATE);
                filled = 0;
            }
        }
    block[filled] ^= 0x1f;
    block[RATE - 1] ^= 0x80;
    absorb(lanes, block);
    for (;;) {
        write_lanes(block, lanes);
        size_t taken = size < RATE ? size : RATE;
        memcpy(out, block, taken);
        out += taken, size -= taken;
        if (!size) return;
        permute(lanes);
    }
}
