/* The leaves of a bucket of the census tree, for the functions of this folder (carnet.tlog.pieces). */
#ifndef CARNET_CENSUS_H
#define CARNET_CENSUS_H

#include "args.h"

#define NAME_BYTES 16
#define SLOT_BYTES 32
#define LEAF_BYTES (NAME_BYTES + DIGEST_BYTES)
#define CHANGE_BYTES (SLOT_BYTES + LEAF_BYTES)
#define MAX_BUCKET 32

/* Leaves, joined, and how many; NULL and an error for anything else. */
const uint8_t *get_leaves(PyObject *given, Py_ssize_t *count);

/* Where the chain of this name stands (docs/spec, 3.9). */
void find_slot(const uint8_t *name, uint8_t *slot);

/* The number of the first bit at which two slots differ; 256 for equal ones. */
int find_parting(const uint8_t *one, const uint8_t *other);

static inline int get_bit(const uint8_t *slot, int bit) { return slot[bit / 8] >> (7 - bit % 8) & 1; }

/* The change that gives a chain this head: slot, name, hash of its leaf. Of its epoch (4 bytes) and seq (8), and the
   link's id. */
#define HEAD_NUMBERS 12
void hash_head(const uint8_t *chain, const uint8_t *numbers, const uint8_t *id, uint8_t *change);

/* The same of a tuple; 0 and an error for anything else. */
int make_change(PyObject *head, uint8_t *change);

/* The hash at `depth` of leaves, at least one, whose slots ascend: who calls has seen that they do. */
void join_leaves(const uint8_t *slots, const uint8_t *leaves, Py_ssize_t count, int depth, uint8_t *digest);

#endif
