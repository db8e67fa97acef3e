/* SHAKE-256 (FIPS 202), for messages of one block: a secret behind its tag. */
#include "hash.h"

#include <string.h>

#define RATE 136
#define LANES (RATE / 8)

static uint64_t rotate(uint64_t lane, unsigned by) { return by ? lane << by | lane >> (64 - by) : lane; }

static const uint64_t IOTA[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

/* One row of a round: rho and pi bring five lanes together, each with its column's parity (theta); chi mixes them.
   What stands where is written out, so that all of it stays in registers. */
#define ROW(to, a, ra, b, rb, c, rc, d, rd, e, re)                                        \
    do {                                                                                  \
        uint64_t v0 = rotate(from[a] ^ mixed[a % 5], ra), v1 = rotate(from[b] ^ mixed[b % 5], rb); \
        uint64_t v2 = rotate(from[c] ^ mixed[c % 5], rc), v3 = rotate(from[d] ^ mixed[d % 5], rd); \
        uint64_t v4 = rotate(from[e] ^ mixed[e % 5], re);                                 \
        into[to] = v0 ^ (~v1 & v2), into[to + 1] = v1 ^ (~v2 & v3), into[to + 2] = v2 ^ (~v3 & v4); \
        into[to + 3] = v3 ^ (~v4 & v0), into[to + 4] = v4 ^ (~v0 & v1);                   \
    } while (0)

static inline void make_round(const uint64_t *from, uint64_t *into, uint64_t constant) {
    uint64_t column[5], mixed[5];
    for (int x = 0; x < 5; x++) column[x] = from[x] ^ from[x + 5] ^ from[x + 10] ^ from[x + 15] ^ from[x + 20];
    for (int x = 0; x < 5; x++) mixed[x] = column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
    ROW(0, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14);
    ROW(5, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61);
    ROW(10, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18);
    ROW(15, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56);
    ROW(20, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2);
    into[0] ^= constant;
}

static void permute(uint64_t lanes[25]) {
    uint64_t other[25];
    for (int round = 0; round < 24; round += 2) {
        make_round(lanes, other, IOTA[round]);
        make_round(other, lanes, IOTA[round + 1]);
    }
}

static inline uint64_t read_lane(const uint8_t *at) {
    return at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 |
           (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static inline void write_lane(uint8_t *at, uint64_t lane) {
    at[0] = (uint8_t)lane, at[1] = (uint8_t)(lane >> 8), at[2] = (uint8_t)(lane >> 16), at[3] = (uint8_t)(lane >> 24);
    at[4] = (uint8_t)(lane >> 32), at[5] = (uint8_t)(lane >> 40), at[6] = (uint8_t)(lane >> 48), at[7] = (uint8_t)(lane >> 56);
}

static void absorb(uint64_t lanes[25], const uint8_t block[RATE]) {
    for (int at = 0; at < LANES; at++) lanes[at] ^= read_lane(block + 8 * at);
    permute(lanes);
}

void shake256(const void *first, size_t first_size, const void *second, size_t second_size, uint8_t *out, size_t size) {
    uint64_t lanes[25] = {0};
    uint8_t block[RATE] = {0};
    size_t filled = 0;
    const uint8_t *parts[2] = {first, second};
    const size_t sizes[2] = {first_size, second_size};
    for (int part = 0; part < 2; part++)
        for (size_t at = 0; at < sizes[part];) {
            size_t taken = sizes[part] - at < RATE - filled ? sizes[part] - at : RATE - filled;
            memcpy(block + filled, parts[part] + at, taken);
            at += taken, filled += taken;
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
        size_t taken = size < RATE ? size : RATE;
        for (int at = 0; at < LANES; at++) write_lane(block + 8 * at, lanes[at]);
        memcpy(out, block, taken);
        out += taken, size -= taken;
        if (!size) return;
        permute(lanes);
    }
}
