/* SHA-256 (FIPS 180-4): plainly, and with the instructions that processors have for it.

   Most messages here have one block or two, so that what counts is what stands around the rounds: no object, no
   context that is looked up, no lock. Nothing secret decides a branch or an address. */
#include "hash.h"

#include <string.h>

/* CARNET_PLAIN leaves them out, so that tests run here what another machine runs. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && !defined(CARNET_PLAIN)
#define HAS_X86 1
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t ROUND[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotate(uint32_t word, int by) { return word >> by | word << (32 - by); }

static uint32_t read_word(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_word(uint8_t *at, uint32_t word) {
    at[0] = (uint8_t)(word >> 24);
    at[1] = (uint8_t)(word >> 16);
    at[2] = (uint8_t)(word >> 8);
    at[3] = (uint8_t)word;
}

static void compress_plainly(uint32_t state[8], const uint8_t *data, size_t blocks) {
    for (; blocks > 0; blocks--, data += 64) {
        uint32_t w[64], v[8];
        for (int at = 0; at < 16; at++) w[at] = read_word(data + 4 * at);
        for (int at = 16; at < 64; at++) {
            uint32_t low = rotate(w[at - 15], 7) ^ rotate(w[at - 15], 18) ^ w[at - 15] >> 3;
            uint32_t high = rotate(w[at - 2], 17) ^ rotate(w[at - 2], 19) ^ w[at - 2] >> 10;
            w[at] = w[at - 16] + low + w[at - 7] + high;
        }
        memcpy(v, state, sizeof v);
        for (int at = 0; at < 64; at++) {
            uint32_t sum = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
            uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
            uint32_t first = v[7] + sum + choice + ROUND[at] + w[at];
            uint32_t other = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
            uint32_t most = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + first;
            v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = first + other + most;
        }
        for (int at = 0; at < 8; at++) state[at] += v[at];
    }
}

#ifdef HAS_X86
#define WITH_INSTRUCTIONS __attribute__((target("sha,sse4.1,ssse3")))

/* The instructions want the words as ABEF and CDGH, the highest first. */
struct words {
    __m128i abef, cdgh;
};

WITH_INSTRUCTIONS static inline struct words take_state(const uint32_t state[8]) {
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    return (struct words){_mm_alignr_epi8(low, high, 8), _mm_blend_epi16(high, low, 0xf0)};
}

WITH_INSTRUCTIONS static inline void give_state(struct words words, uint32_t state[8]) {
    __m128i low = _mm_shuffle_epi32(words.abef, 0x1b), high = _mm_shuffle_epi32(words.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

WITH_INSTRUCTIONS static inline void take_block(const uint8_t *data, __m128i w[4]) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    for (int at = 0; at < 4; at++)
        w[at] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * at)), swap);
}

/* Four rounds, and four words of the schedule. */
WITH_INSTRUCTIONS static inline void make_rounds(struct words *words, __m128i w[4], int at) {
    __m128i now = w[at & 3], keyed = _mm_add_epi32(now, _mm_load_si128((const __m128i *)(ROUND + 4 * at)));
    words->cdgh = _mm_sha256rnds2_epu32(words->cdgh, words->abef, keyed);
    words->abef = _mm_sha256rnds2_epu32(words->abef, words->cdgh, _mm_shuffle_epi32(keyed, 0x0e));
    if (at < 12) {
        __m128i last = w[(at + 3) & 3];
        __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(at + 1) & 3]), _mm_alignr_epi8(last, w[(at + 2) & 3], 4));
        w[at & 3] = _mm_sha256msg2_epu32(sum, last);
    }
}

WITH_INSTRUCTIONS static inline void add_words(struct words *words, struct words before) {
    words->abef = _mm_add_epi32(words->abef, before.abef);
    words->cdgh = _mm_add_epi32(words->cdgh, before.cdgh);
}

WITH_INSTRUCTIONS static void compress_with_instructions(uint32_t state[8], const uint8_t *data, size_t blocks) {
    struct words words = take_state(state);
    for (; blocks > 0; blocks--, data += 64) {
        struct words before = words;
        __m128i w[4];
        take_block(data, w);
#pragma GCC unroll 16
        for (int at = 0; at < 16; at++) make_rounds(&words, w, at);
        add_words(&words, before);
    }
    give_state(words, state);
}

/* A round waits for the one before it: those of another message have room meanwhile. */
WITH_INSTRUCTIONS static void compress_two_with_instructions(
    uint32_t state[8], const uint8_t *data, uint32_t other_state[8], const uint8_t *other_data, size_t blocks) {
    struct words words = take_state(state), other = take_state(other_state);
    for (; blocks > 0; blocks--, data += 64, other_data += 64) {
        struct words before = words, other_before = other;
        __m128i w[4], other_w[4];
        take_block(data, w);
        take_block(other_data, other_w);
#pragma GCC unroll 16
        for (int at = 0; at < 16; at++) {
            make_rounds(&words, w, at);
            make_rounds(&other, other_w, at);
        }
        add_words(&words, before);
        add_words(&other, other_before);
    }
    give_state(words, state);
    give_state(other, other_state);
}

static int has_instructions(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29) != 0;
}
#endif

static void (*compress)(uint32_t state[8], const uint8_t *data, size_t blocks) = compress_plainly;

static void compress_two_in_turn(
    uint32_t state[8], const uint8_t *data, uint32_t other_state[8], const uint8_t *other_data, size_t blocks) {
    compress(state, data, blocks);
    compress(other_state, other_data, blocks);
}

static void (*compress_two)(
    uint32_t state[8], const uint8_t *data, uint32_t other_state[8], const uint8_t *other_data, size_t blocks) =
    compress_two_in_turn;

int sha256_choose(void) {
#ifdef HAS_X86
    if (has_instructions()) compress = compress_with_instructions, compress_two = compress_two_with_instructions;
#endif
    return compress != compress_plainly;
}

static void write_state(const uint32_t state[8], uint8_t *digest) {
    for (int at = 0; at < 8; at++) write_word(digest + 4 * at, state[at]);
}

void sha256_begin(struct sha256 *hash) {
    memcpy(hash->state, START, sizeof START);
    hash->total = hash->filled = 0;
}

void sha256_add(struct sha256 *hash, const void *data, size_t size) {
    const uint8_t *at = data;
    hash->total += size;
    if (hash->filled + size < 64) {
        memcpy(hash->block + hash->filled, at, size);
        hash->filled += size;
        return;
    }
    if (hash->filled) {
        size_t taken = 64 - hash->filled;
        memcpy(hash->block + hash->filled, at, taken);
        compress(hash->state, hash->block, 1);
        at += taken, size -= taken;
    }
    compress(hash->state, at, size / 64);
    hash->filled = size % 64;
    memcpy(hash->block, at + (size - hash->filled), hash->filled);
}

void sha256_end(struct sha256 *hash, uint8_t digest[DIGEST_BYTES]) {
    uint64_t bits = hash->total * 8;
    hash->block[hash->filled++] = 0x80;
    if (hash->filled > 56) {
        memset(hash->block + hash->filled, 0, 64 - hash->filled);
        compress(hash->state, hash->block, 1);
        hash->filled = 0;
    }
    memset(hash->block + hash->filled, 0, 56 - hash->filled);
    write_word(hash->block + 56, (uint32_t)(bits >> 32));
    write_word(hash->block + 60, (uint32_t)bits);
    compress(hash->state, hash->block, 1);
    write_state(hash->state, digest);
}

void sha256_of(const void *data, size_t size, uint8_t digest[DIGEST_BYTES]) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, data, size);
    sha256_end(&hash, digest);
}

#define NODE_BLOCKS 2

static void begin_node(const uint8_t *left, const uint8_t *right, uint32_t state[8], uint8_t blocks[64 * NODE_BLOCKS]) {
    memcpy(state, START, sizeof START);
    blocks[0] = 1;
    memcpy(blocks + 1, left, DIGEST_BYTES);
    memcpy(blocks + 1 + DIGEST_BYTES, right, DIGEST_BYTES);
    /* 65 bytes and their length in bits, 520. */
    memset(blocks + 65, 0, 64 * NODE_BLOCKS - 65);
    blocks[65] = 0x80, blocks[126] = 0x02, blocks[127] = 0x08;
}

void sha256_node(const uint8_t *left, const uint8_t *right, uint8_t digest[DIGEST_BYTES]) {
    uint32_t state[8];
    uint8_t blocks[64 * NODE_BLOCKS];
    begin_node(left, right, state, blocks);
    compress(state, blocks, NODE_BLOCKS);
    write_state(state, digest);
}

void sha256_two_nodes(const uint8_t *left, const uint8_t *right, uint8_t digest[DIGEST_BYTES], const uint8_t *other_left,
                      const uint8_t *other_right, uint8_t other_digest[DIGEST_BYTES]) {
    uint32_t state[8], other_state[8];
    uint8_t blocks[64 * NODE_BLOCKS], other_blocks[64 * NODE_BLOCKS];
    begin_node(left, right, state, blocks);
    begin_node(other_left, other_right, other_state, other_blocks);
    compress_two(state, blocks, other_state, other_blocks, NODE_BLOCKS);
    write_state(state, digest);
    write_state(other_state, other_digest);
}

size_t sha256_pad(uint8_t *message, size_t size) {
    size_t blocks = (size + 8) / 64 + 1;
    uint64_t bits = (uint64_t)size * 8;
    message[size] = 0x80;
    memset(message + size + 1, 0, 64 * blocks - 8 - size - 1);
    write_word(message + 64 * blocks - 8, (uint32_t)(bits >> 32));
    write_word(message + 64 * blocks - 4, (uint32_t)bits);
    return blocks;
}

static void hash_padded(const struct padded *one) {
    uint32_t state[8];
    memcpy(state, START, sizeof START);
    compress(state, one->blocks, one->count);
    write_state(state, one->digest);
}

static void hash_two_padded(const struct padded *one, const struct padded *other) {
    uint32_t state[8], other_state[8];
    memcpy(state, START, sizeof START);
    memcpy(other_state, START, sizeof START);
    compress_two(state, one->blocks, other_state, other->blocks, one->count);
    write_state(state, one->digest);
    write_state(other_state, other->digest);
}

#define MAX_PAIRED 32 /* blocks of a message; longer ones are hashed alone */

void sha256_all(const struct padded *messages, size_t count) {
    const struct padded *waiting[MAX_PAIRED + 1] = {0};
    for (const struct padded *one = messages; one < messages + count; one++) {
        const struct padded **other = one->count <= MAX_PAIRED ? &waiting[one->count] : NULL;
        if (!other)
            hash_padded(one);
        else if (!*other)
            *other = one;
        else
            hash_two_padded(one, *other), *other = NULL;
    }
    for (size_t at = 0; at <= MAX_PAIRED; at++)
        if (waiting[at]) hash_padded(waiting[at]);
}
