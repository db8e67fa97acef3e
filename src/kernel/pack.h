/* MessagePack, as far as it is written here: each function gives where to write the next byte. */
#ifndef CARNET_PACK_H
#define CARNET_PACK_H

#include "args.h"

#define NIL 0xc0
#define MOST_HEAD 9
/* No head has more bytes. */

static inline uint8_t *put(uint8_t *to, const void *data, size_t size) {
    memcpy(to, data, size);
    return to + size;
}

/* A number of so many bytes, the highest first. */
static inline uint8_t *put_big(uint8_t *to, uint64_t number, int bytes) {
    while (bytes--) *to++ = (uint8_t)(number >> 8 * bytes);
    return to;
}

/* A number in as few bytes as it takes. */
static inline uint8_t *put_number(uint8_t *to, uint64_t number) {
    if (number < 0x80) return put_big(to, number, 1);
    int power = number > UINT32_MAX ? 3 : number > UINT16_MAX ? 2 : number > UINT8_MAX ? 1 : 0;
    *to++ = (uint8_t)(0xcc + power);
    return put_big(to, number, 1 << power);
}

/* What stands before so many bytes of a text (first 0xd9), or of plain bytes (first 0xc4). */
static inline uint8_t *put_head(uint8_t *to, uint8_t first, size_t size) {
    int power = size > UINT16_MAX ? 2 : size > UINT8_MAX ? 1 : 0;
    if (first == 0xd9 && size < 32) return put_big(to, 0xa0 | size, 1);
    *to++ = (uint8_t)(first + power);
    return put_big(to, size, 1 << power);
}

static inline uint8_t *put_text(uint8_t *to, const void *text, size_t size) {
    return put(put_head(to, 0xd9, size), text, size);
}

static inline uint8_t *put_bytes(uint8_t *to, const void *data, size_t size) {
    return put(put_head(to, 0xc4, size), data, size);
}

#endif
