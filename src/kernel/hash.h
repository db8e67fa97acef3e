/* The two hashes of the format, for the functions of this folder. FIPS 180-4 and FIPS 202. */
#ifndef CARNET_HASH_H
#define CARNET_HASH_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

/* A number of 8 bytes, the lowest first. */
static inline uint64_t read_little(const uint8_t *at) {
    return at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 |
           (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

struct sha256 {
    uint32_t state[8];
    uint64_t total;
    size_t filled;
    uint8_t block[64];
};

/* Chooses the processor's own instructions where it has them, and says whether it did; once, before anything is hashed. */
int sha256_choose(void);

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t size);
void sha256_end(struct sha256 *hash, uint8_t digest[DIGEST_BYTES]);

void sha256_of(const void *data, size_t size, uint8_t digest[DIGEST_BYTES]);

/* 0x01 and two digests: an inner node of a tree (RFC 9162, 2.1.1). `digest` may be one of them. */
void sha256_node(const uint8_t *left, const uint8_t *right, uint8_t digest[DIGEST_BYTES]);

/* The same of two nodes, which do not wait for each other: neither digest is read for the other. */
void sha256_two_nodes(const uint8_t *left, const uint8_t *right, uint8_t digest[DIGEST_BYTES], const uint8_t *other_left,
                      const uint8_t *other_right, uint8_t other_digest[DIGEST_BYTES]);

/* A message in whole blocks, and where its digest goes: into none of those that are hashed together. */
struct padded {
    const uint8_t *blocks;
    size_t count;
    uint8_t *digest;
};

#define MOST_PADDING 72

/* Completes a message of so many bytes, behind which there is room for the padding; gives its number of blocks. */
size_t sha256_pad(uint8_t *message, size_t size);

/* Messages that need not wait for each other: two of a size are hashed in little more time than one. */
void sha256_all(const struct padded *messages, size_t count);

void shake256(const void *first, size_t first_size, const void *second, size_t second_size, uint8_t *out, size_t size);

#define SHAKE_LANES 4

/* So many messages at once, each of the same bytes and 32 of its own, in one block. */
void shake256_lanes(const void *first, size_t first_size, const uint8_t *const seconds[SHAKE_LANES],
                    uint8_t *const outs[SHAKE_LANES], size_t size);

/* Chooses wide registers where the processor has them; once, before anything is hashed. */
void shake256_choose(void);

#endif
