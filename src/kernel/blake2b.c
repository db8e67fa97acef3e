/* BLAKE2b (RFC 7693) with a key and a personalisation, of many short messages: the key's block is hashed once. */
#include "args.h"

#define BLOCK 128
#define MOST 64
#define PERSON 16

static const uint64_t BEGIN[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static inline uint64_t turn(uint64_t word, unsigned by) { return word >> by | word << (64 - by); }

#define MIX(a, b, c, d, x, y)                                                        \
    do {                                                                             \
        v[a] += v[b] + m[x], v[d] = turn(v[d] ^ v[a], 32);                           \
        v[c] += v[d], v[b] = turn(v[b] ^ v[c], 24);                                  \
        v[a] += v[b] + m[y], v[d] = turn(v[d] ^ v[a], 16);                           \
        v[c] += v[d], v[b] = turn(v[b] ^ v[c], 63);                                  \
    } while (0)

/* Columns, then diagonals; which words go where is written out, so that all of it stays in registers. */
#define ROUND(a, b, c, d, e, f, g, h, i, j, k, l, n, o, p, q) \
    MIX(0, 4, 8, 12, a, b);                                   \
    MIX(1, 5, 9, 13, c, d);                                   \
    MIX(2, 6, 10, 14, e, f);                                  \
    MIX(3, 7, 11, 15, g, h);                                  \
    MIX(0, 5, 10, 15, i, j);                                  \
    MIX(1, 6, 11, 12, k, l);                                  \
    MIX(2, 7, 8, 13, n, o);                                   \
    MIX(3, 4, 9, 14, p, q)

static void compress(uint64_t state[8], const uint8_t block[BLOCK], uint64_t total, int is_last) {
    uint64_t v[16], m[16];
    for (int at = 0; at < 16; at++) m[at] = read_little(block + 8 * at);
    for (int at = 0; at < 8; at++) v[at] = state[at], v[at + 8] = BEGIN[at];
    v[12] ^= total;
    if (is_last) v[14] = ~v[14];
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    for (int at = 0; at < 8; at++) state[at] ^= v[at] ^ v[at + 8];
}

/* What comes before each message. */
struct begun {
    uint64_t state[8];
    uint8_t key[BLOCK];
    size_t key_size, size;
};

static void begin(struct begun *begun, const uint8_t *key, size_t key_size, const uint8_t *person, size_t person_size,
                  size_t size) {
    uint8_t parameters[64] = {(uint8_t)size, (uint8_t)key_size, 1, 1};
    memcpy(parameters + 48, person, person_size);
    for (int at = 0; at < 8; at++) begun->state[at] = BEGIN[at] ^ read_little(parameters + 8 * at);
    memset(begun->key, 0, BLOCK);
    memcpy(begun->key, key, key_size);
    begun->key_size = key_size, begun->size = size;
}

/* Goes on from the key, whose block was hashed before, unless it is the last one or there is none. */
static void hash_message(const struct begun *begun, const uint64_t after_key[8], const uint8_t *data, size_t size,
                         uint8_t digest[MOST]) {
    uint64_t state[8], total = begun->key_size && size ? BLOCK : 0;
    uint8_t block[BLOCK] = {0};
    memcpy(state, total ? after_key : begun->state, sizeof state);
    if (begun->key_size && !size) {
        compress(state, begun->key, BLOCK, 1);
    } else {
        for (; size > BLOCK; data += BLOCK, size -= BLOCK) compress(state, data, total += BLOCK, 0);
        memcpy(block, data, size);
        compress(state, block, total + size, 1);
    }
    for (size_t at = 0; at < begun->size; at++) digest[at] = (uint8_t)(state[at / 8] >> 8 * (at % 8));
}

static PyObject *hash_messages(const struct begun *begun, PyObject *messages) {
    uint64_t after_key[8];
    PyObject *digests = PyList_New(get_length(messages));
    if (!digests) return NULL;
    memcpy(after_key, begun->state, sizeof after_key);
    compress(after_key, begun->key, BLOCK, 0);
    for (Py_ssize_t at = 0; at < get_length(messages); at++) {
        uint8_t digest[MOST];
        Py_ssize_t size;
        const uint8_t *data = get_bytes(get_item(messages, at), &size);
        PyObject *made = NULL;
        if (data) {
            hash_message(begun, after_key, data, (size_t)size, digest);
            made = PyBytes_FromStringAndSize((const char *)digest, (Py_ssize_t)begun->size);
        }
        if (!made || PyList_SetItem(digests, at, made) < 0) {
            Py_DECREF(digests);
            return NULL;
        }
    }
    return digests;
}

static PyObject *compute_digests(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct begun begun;
    const uint8_t *key, *person;
    Py_ssize_t key_size, person_size, size;
    PyObject *messages, *digests;
    (void)self;
    if (!check_count(count, 4) || !(key = get_bytes(given[0], &key_size))) return NULL;
    if (!(person = get_bytes(given[1], &person_size))) return NULL;
    size = PyLong_AsSsize_t(given[2]);
    if (size == -1 && PyErr_Occurred()) return NULL;
    if (key_size > MOST || person_size > PERSON || size < 1 || size > MOST) {
        PyErr_SetString(PyExc_ValueError, "a key has 64 bytes at most, a personalisation 16, a digest 1 to 64");
        return NULL;
    }
    if (!(messages = get_sequence(given[3]))) return NULL;
    begin(&begun, key, (size_t)key_size, person, (size_t)person_size, (size_t)size);
    digests = hash_messages(&begun, messages);
    Py_DECREF(messages);
    return digests;
}

PyMethodDef DIGEST_METHODS[] = {
    {"compute_digests", FAST(compute_digests), METH_FASTCALL,
     "compute_digests(key, person, size, messages): the keyed BLAKE2b digest of each message."},
    {NULL, NULL, 0, NULL},
};
