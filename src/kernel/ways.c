/* Ways in the census tree: from a leaf up to the root, and down to it (docs/spec/3-ledger.md, 3.9).
   Whatever is not as it should be gives None: Python's own functions then say what is wrong. */
#include "census.h"

#define MAX_DEPTH 60
#define PAGE_BITS 4
#define CHILDREN 16
#define PAGE_BYTES (1 + 4 * CHILDREN + (2 * CHILDREN - 2) * DIGEST_BYTES)

enum { BUCKET, PAGE };

static const uint8_t EMPTY[DIGEST_BYTES] = {0};

static const uint8_t *find_sized(PyObject *given, Py_ssize_t size) {
    return PyBytes_Check(given) && PyBytes_Size(given) == size ? (const uint8_t *)PyBytes_AsString(given) : NULL;
}

static PyObject *find_slot_root(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t node[DIGEST_BYTES];
    const uint8_t *slot, *leaf, *sibling;
    (void)self;
    if (!check_count(count, 3)) return NULL;
    if (!(slot = find_sized(given[0], SLOT_BYTES)) || !(leaf = find_sized(given[1], DIGEST_BYTES))) Py_RETURN_NONE;
    if (!is_sequence(given[2])) Py_RETURN_NONE;
    Py_ssize_t height = get_length(given[2]);
    if (height > 8 * SLOT_BYTES) Py_RETURN_NONE;
    memcpy(node, leaf, DIGEST_BYTES);
    for (Py_ssize_t at = height - 1; at >= 0; at--) {
        if (!(sibling = find_sized(get_item(given[2], at), DIGEST_BYTES))) Py_RETURN_NONE;
        if (at == height - 1 && !memcmp(sibling, EMPTY, DIGEST_BYTES)) Py_RETURN_NONE;
        int is_one = get_bit(slot, (int)at);
        sha256_node(is_one ? sibling : node, is_one ? node : sibling, node);
    }
    return make_digest(node);
}

static PyObject *find_head_root(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t head[HEAD_BYTES], change[CHANGE_BYTES];
    const uint8_t *path;
    Py_ssize_t size;
    (void)self;
    if (!check_count(count, 2) || !read_head(given[0], head) || !(path = get_bytes(given[1], &size))) return NULL;
    Py_ssize_t height = size / DIGEST_BYTES;
    if (size % DIGEST_BYTES || height > 8 * SLOT_BYTES) Py_RETURN_NONE;
    if (height && !memcmp(path + size - DIGEST_BYTES, EMPTY, DIGEST_BYTES)) Py_RETURN_NONE;
    hash_heads(head, 1, change);
    uint8_t *node = change + SLOT_BYTES + NAME_BYTES;
    for (Py_ssize_t at = height - 1; at >= 0; at--) {
        const uint8_t *sibling = path + at * DIGEST_BYTES;
        int is_one = get_bit(change, (int)at);
        sha256_node(is_one ? sibling : node, is_one ? node : sibling, node);
    }
    return make_digest(node);
}

static int append_hash(PyObject *siblings, const uint8_t *hash) {
    PyObject *made = make_digest(hash);
    int failed = !made || PyList_Append(siblings, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

static int append_empty(PyObject *siblings, int count) {
    while (count-- > 0)
        if (!append_hash(siblings, EMPTY)) return 0;
    return 1;
}

struct way {
    const uint8_t *slot;
    PyObject *siblings;
    const uint8_t *name, *digest; /* of the leaf at its end */
};

/* Whether a bucket has the slot's own leaf, with the siblings on the way to it. */
static int go_down(struct way *way, const uint8_t *leaves, Py_ssize_t count, int depth) {
    uint8_t slots[SLOT_BYTES * MAX_BUCKET], digest[DIGEST_BYTES];
    Py_ssize_t low = 0, high = count;
    find_all_slots(leaves, count, slots, SLOT_BYTES);
    for (Py_ssize_t at = 1; at < count; at++)
        if (memcmp(slots + SLOT_BYTES * (at - 1), slots + SLOT_BYTES * at, SLOT_BYTES) >= 0) return 0;
    while (high - low > 1) {
        const uint8_t *last = slots + SLOT_BYTES * (high - 1);
        int parting = find_parting(slots + SLOT_BYTES * low, last);
        if (find_parting(way->slot, last) < parting || !append_empty(way->siblings, parting - depth)) return 0;
        Py_ssize_t middle = low + 1;
        while (!get_bit(slots + SLOT_BYTES * middle, parting)) middle++;
        int is_one = get_bit(way->slot, parting);
        Py_ssize_t first = is_one ? low : middle, end = is_one ? middle : high;
        depth = parting + 1;
        join_leaves(slots + SLOT_BYTES * first, leaves + LEAF_BYTES * first, end - first, depth, digest);
        if (!append_hash(way->siblings, digest)) return 0;
        low = is_one ? middle : low, high = is_one ? high : middle;
    }
    way->name = leaves + LEAF_BYTES * low;
    way->digest = way->name + NAME_BYTES;
    return !memcmp(slots + SLOT_BYTES * low, way->slot, SLOT_BYTES);
}

static uint64_t count_below(const uint8_t *counts, int first, int end) {
    uint64_t sum = 0;
    for (const uint8_t *at = counts + 4 * first; at < counts + 4 * end; at += 4)
        sum += (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return sum;
}

/* The siblings that a page has on the way to one of its children, up to where there is one leaf, of which it has the
   hash. Where there is none the way ends in nothing. */
static int pass_page(struct way *way, const uint8_t *page, int branch) {
    const uint8_t *counts = page + 1, *hashes = counts + 4 * CHILDREN;
    /* Where a child holds more than one leaf, so does all that is above it. */
    int is_long = count_below(counts, branch, branch + 1) > 1;
    for (int height = PAGE_BITS - 1; height >= 0; height--) {
        int node = (CHILDREN + branch) >> height, low = branch >> height << height;
        if (!append_hash(way->siblings, hashes + DIGEST_BYTES * ((node ^ 1) - 2))) return 0;
        uint64_t below = is_long ? 2 : count_below(counts, low, low + (1 << height));
        if (below < 2) {
            way->digest = hashes + DIGEST_BYTES * (node - 2);
            return below == 1 && count_below(counts, branch, branch + 1) == 1;
        }
    }
    return 1;
}

/* Whether a bucket has the slot's own leaf and no other. */
static int is_alone(const uint8_t *slot, const uint8_t *leaf, Py_ssize_t leaves) {
    uint8_t found[SLOT_BYTES];
    if (leaves != 1) return 0;
    find_slot(leaf, found);
    return !memcmp(found, slot, SLOT_BYTES);
}

/* Whether these pieces lead to the slot's own leaf, with the way there. */
static int go_through(struct way *way, PyObject *pieces) {
    Py_ssize_t count = get_length(pieces);
    for (Py_ssize_t at = 0; at < count && at * PAGE_BITS <= MAX_DEPTH; at++) {
        PyObject *piece = get_item(pieces, at);
        if (!PyBytes_Check(piece)) return 0;
        const uint8_t *content = (const uint8_t *)PyBytes_AsString(piece);
        Py_ssize_t size = PyBytes_Size(piece), leaves = size / LEAF_BYTES;
        int depth = (int)at * PAGE_BITS;
        if (size == PAGE_BYTES && content[0] == PAGE) {
            if (way->digest || !pass_page(way, content, way->slot[depth / 8] >> (depth % 8 ? 0 : 4) & (CHILDREN - 1))) return 0;
            continue;
        }
        if (size % LEAF_BYTES != 1 || content[0] != BUCKET || leaves < 1 || leaves > MAX_BUCKET) return 0;
        if (!way->digest) return go_down(way, content + 1, leaves, depth);
        way->name = content + 1;
        return is_alone(way->slot, content + 1, leaves);
    }
    return 0;
}

static PyObject *find_way(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct way way = {0};
    (void)self;
    if (!check_count(count, 2)) return NULL;
    if (!is_sequence(given[0]) || !(way.slot = find_sized(given[1], SLOT_BYTES))) Py_RETURN_NONE;
    if (!(way.siblings = PyList_New(0))) return NULL;
    if (go_through(&way, given[0]))
        return Py_BuildValue("Ny#y#", way.siblings, (const char *)way.name, (Py_ssize_t)NAME_BYTES, (const char *)way.digest,
                             (Py_ssize_t)DIGEST_BYTES);
    Py_DECREF(way.siblings);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

PyMethodDef WAY_METHODS[] = {
    {"find_head_root", FAST(find_head_root), METH_FASTCALL,
     "find_head_root(head, path): the root to which the leaf of this head leads, siblings from the root downwards; or None."},
    {"find_slot_root", FAST(find_slot_root), METH_FASTCALL,
     "find_slot_root(slot, digest, siblings): the root to which they lead, the siblings from the root downwards; or None."},
    {"find_way", FAST(find_way), METH_FASTCALL,
     "find_way(pieces, slot): the siblings on the way to the leaf of this slot, its name and its hash; or None."},
    {NULL, NULL, 0, NULL},
};
