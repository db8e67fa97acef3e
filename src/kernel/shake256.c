/* SHAKE-256 (FIPS 202), for messages of one block: a secret behind its tag; of four secrets at once where registers are
   wide. */
#include "hash.h"

#include <string.h>

/* CARNET_PLAIN leaves them out, so that tests run here what another machine runs. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && !defined(CARNET_PLAIN)
#define HAS_X86 1
#endif

#define RATE 136
#define LANES (RATE / 8)

static const uint64_t IOTA[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

#define LANE uint64_t
#define PERMUTE permute
#define WITH
#include "keccak.h"

static inline void write_lane(uint8_t *at, uint64_t lane) {
    at[0] = (uint8_t)lane, at[1] = (uint8_t)(lane >> 8), at[2] = (uint8_t)(lane >> 16), at[3] = (uint8_t)(lane >> 24);
    at[4] = (uint8_t)(lane >> 32), at[5] = (uint8_t)(lane >> 40), at[6] = (uint8_t)(lane >> 48), at[7] = (uint8_t)(lane >> 56);
}

static void absorb(uint64_t lanes[25], const uint8_t block[RATE]) {
    for (int at = 0; at < LANES; at++) lanes[at] ^= read_little(block + 8 * at);
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

static void hash_in_turn(const void *first, size_t first_size, const uint8_t *const seconds[SHAKE_LANES],
                         uint8_t *const outs[SHAKE_LANES], size_t size) {
    for (int lane = 0; lane < SHAKE_LANES; lane++) shake256(first, first_size, seconds[lane], 32, outs[lane], size);
}

#ifdef HAS_X86
typedef uint64_t vector __attribute__((vector_size(8 * SHAKE_LANES)));

#define LANE vector
#define PERMUTE permute_vectors
#define WITH __attribute__((target("avx2")))
#include "keccak.h"

__attribute__((target("avx2"))) static void hash_in_vectors(
    const void *first, size_t first_size, const uint8_t *const seconds[SHAKE_LANES], uint8_t *const outs[SHAKE_LANES],
    size_t size) {
    vector lanes[25] = {0};
    uint8_t block[RATE] = {0};
    memcpy(block, first, first_size);
    block[first_size + 32] = 0x1f, block[RATE - 1] = 0x80;
    for (int lane = 0; lane < SHAKE_LANES; lane++) {
        memcpy(block + first_size, seconds[lane], 32);
        for (int at = 0; at < LANES; at++) lanes[at][lane] = read_little(block + 8 * at);
    }
    for (size_t done = 0; done < size; done += RATE) {
        permute_vectors(lanes);
        size_t taken = size - done < RATE ? size - done : RATE;
        for (int lane = 0; lane < SHAKE_LANES; lane++) {
            for (int at = 0; at < LANES; at++) write_lane(block + 8 * at, lanes[at][lane]);
            memcpy(outs[lane] + done, block, taken);
        }
    }
}
#endif

static void (*hash_lanes)(const void *first, size_t first_size, const uint8_t *const seconds[SHAKE_LANES],
                          uint8_t *const outs[SHAKE_LANES], size_t size) = hash_in_turn;

void shake256_choose(void) {
#ifdef HAS_X86
    if (__builtin_cpu_supports("avx2")) hash_lanes = hash_in_vectors;
#endif
}

void shake256_lanes(const void *first, size_t first_size, const uint8_t *const seconds[SHAKE_LANES],
                    uint8_t *const outs[SHAKE_LANES], size_t size) {
    hash_lanes(first, first_size, seconds, outs, size);
}
