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

/* Where the chains of so many leaves stand, each slot so many bytes behind the one before. */
void find_all_slots(const uint8_t *leaves, Py_ssize_t count, uint8_t *slots, Py_ssize_t step);

/* The number of the first bit at which two slots differ; 256 for equal ones. */
int find_parting(const uint8_t *one, const uint8_t *other);

static inline int get_bit(const uint8_t *slot, int bit) { return slot[bit / 8] >> (7 - bit % 8) & 1; }

/* A head: the chain's id, the epoch (4 bytes) and the seq (8), the link's id. */
#define HEAD_BYTES (NAME_BYTES + 12 + DIGEST_BYTES)

/* The head that a tuple tells; 0 and an error for anything else. */
int read_head(PyObject *given, uint8_t *head);

/* The changes that give chains so many heads, joined: slot, name, hash of its leaf. */
void hash_heads(const uint8_t *heads, Py_ssize_t count, uint8_t *changes);

/* The hash at `depth` of leaves, at least one, whose slots ascend: who calls has seen that they do. */
void join_leaves(const uint8_t *slots, const uint8_t *leaves, Py_ssize_t count, int depth, uint8_t *digest);

#endif
