/* Ways in the census tree: from a leaf up to the root, and from a bucket down to a leaf (docs/spec/3-ledger.md, 3.9).
   Whatever is not as it should be gives None: Python's own functions then say what is wrong. */
#include "census.h"

#define MAX_DEPTH 60

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

/* The siblings on the way to a slot; the leaf where it ends, or -1 where it ends in nothing, or -2 and an error. */
static Py_ssize_t go_down(const uint8_t *slots, const uint8_t *leaves, Py_ssize_t count, const uint8_t *slot, int depth, PyObject *siblings) {
    uint8_t digest[DIGEST_BYTES];
    Py_ssize_t low = 0, high = count;
    while (high - low > 1) {
        const uint8_t *last = slots + SLOT_BYTES * (high - 1);
        int parting = find_parting(slots + SLOT_BYTES * low, last), common = find_parting(slot, last);
        int is_beside = common < parting;
        if (!append_empty(siblings, (is_beside ? common : parting) - depth)) return -2;
        Py_ssize_t middle = low + 1;
        while (!get_bit(slots + SLOT_BYTES * middle, parting)) middle++;
        int is_one = get_bit(slot, parting);
        Py_ssize_t first = is_beside || is_one ? low : middle, end = is_beside || !is_one ? high : middle;
        depth = (is_beside ? common : parting) + 1;
        join_leaves(slots + SLOT_BYTES * first, leaves + LEAF_BYTES * first, end - first, depth, digest);
        if (!append_hash(siblings, digest)) return -2;
        if (is_beside) return -1;
        if (is_one)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int do_ascend(const uint8_t *slots, Py_ssize_t count) {
    for (Py_ssize_t at = 1; at < count; at++)
        if (memcmp(slots + SLOT_BYTES * (at - 1), slots + SLOT_BYTES * at, SLOT_BYTES) >= 0) return 0;
    return 1;
}

static PyObject *find_bucket_way(PyObject *self, PyObject *const *given, Py_ssize_t given_count) {
    const uint8_t *slots, *slot;
    (void)self;
    if (!check_count(given_count, 4)) return NULL;
    long depth = PyLong_Check(given[3]) ? PyLong_AsLong(given[3]) : -1;
    if (PyErr_Occurred()) PyErr_Clear();
    if (!PyBytes_Check(given[0]) || depth < 0 || depth > MAX_DEPTH) Py_RETURN_NONE;
    Py_ssize_t size = PyBytes_Size(given[0]), count = size / LEAF_BYTES;
    if (size % LEAF_BYTES != 1 || count < 1 || count > MAX_BUCKET) Py_RETURN_NONE;
    if (!(slots = find_sized(given[1], SLOT_BYTES * count)) || !(slot = find_sized(given[2], SLOT_BYTES))) Py_RETURN_NONE;
    if (!do_ascend(slots, count)) Py_RETURN_NONE;
    const uint8_t *leaves = (const uint8_t *)PyBytes_AsString(given[0]) + 1;
    PyObject *siblings = PyList_New(0);
    if (!siblings) return NULL;
    Py_ssize_t end = go_down(slots, leaves, count, slot, (int)depth, siblings);
    if (end == -1) return Py_BuildValue("NOO", siblings, Py_None, Py_None);
    if (end < 0) {
        Py_DECREF(siblings);
        return NULL;
    }
    const char *leaf = (const char *)leaves + LEAF_BYTES * end;
    return Py_BuildValue("Ny#y#", siblings, leaf, (Py_ssize_t)NAME_BYTES, leaf + NAME_BYTES, (Py_ssize_t)DIGEST_BYTES);
}

PyMethodDef WAY_METHODS[] = {
    {"find_slot_root", FAST(find_slot_root), METH_FASTCALL,
     "find_slot_root(slot, digest, siblings): the root to which they lead, the siblings from the root downwards; or None."},
    {"find_bucket_way", FAST(find_bucket_way), METH_FASTCALL,
     "find_bucket_way(content, slots, slot, depth): siblings, and the name and hash of the leaf at the end; or None."},
    {NULL, NULL, 0, NULL},
};
