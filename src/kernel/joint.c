/* Joint paths (docs/spec/1-encoding.md, 1.10): one way up from several leaves, and what stands beside it. Whatever is
   not as it should be gives None: Python's own functions then say what is wrong. */
#include <limits.h>

#include "args.h"

#define MAX_LEAVES 65536

/* Ascending numbers, each below `size`, and beside each a hash where `hashes` has room; 0 where they are anything else. */
static int read_leaves(PyObject *numbers, PyObject *leaves, uint64_t size, uint64_t *indices, uint8_t *hashes) {
    Py_ssize_t count = get_length(numbers);
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *number = get_item(numbers, at);
        unsigned long long index = PyLong_Check(number) ? PyLong_AsUnsignedLongLong(number) : ULLONG_MAX;
        if (PyErr_Occurred()) PyErr_Clear();
        if (index >= size || (at && index <= indices[at - 1])) return 0;
        indices[at] = index;
        if (!hashes) continue;
        PyObject *leaf = get_item(leaves, at);
        if (!PyBytes_Check(leaf) || PyBytes_Size(leaf) != DIGEST_BYTES) return 0;
        memcpy(hashes + at * DIGEST_BYTES, PyBytes_AsString(leaf), DIGEST_BYTES);
    }
    return 1;
}

/* One level up: parents take the place of their children. What is used of the path; -1 where it is too short. */
static Py_ssize_t lift(uint64_t *indices, uint8_t *nodes, Py_ssize_t *count, uint64_t width, const uint8_t *path, Py_ssize_t left) {
    Py_ssize_t made = 0, used = 0;
    for (Py_ssize_t at = 0; at < *count; at++, made++) {
        uint64_t index = indices[at];
        const uint8_t *node = nodes + at * DIGEST_BYTES;
        uint8_t *parent = nodes + made * DIGEST_BYTES;
        indices[made] = index >> 1;
        if (!(index & 1) && at + 1 < *count && indices[at + 1] == index + 1) {
            sha256_node(node, node + DIGEST_BYTES, parent);
            at++;
        } else if (!(index & 1) && index + 1 == width) {
            /* A last node without a neighbour is carried up. */
            memmove(parent, node, DIGEST_BYTES);
        } else {
            if (left - used < DIGEST_BYTES) return -1;
            const uint8_t *sibling = path + used;
            sha256_node(index & 1 ? sibling : node, index & 1 ? node : sibling, parent);
            used += DIGEST_BYTES;
        }
    }
    *count = made;
    return used;
}

static int climb_jointly(uint64_t *indices, uint8_t *nodes, Py_ssize_t count, uint64_t size, const uint8_t *path, Py_ssize_t left) {
    for (uint64_t width = size; width > 1; width = (width >> 1) + (width & 1)) {
        Py_ssize_t used = lift(indices, nodes, &count, width, path, left);
        if (used < 0) return 0;
        path += used, left -= used;
    }
    return left == 0;
}

static PyObject *find_joint_root(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    PyObject *root = NULL;
    (void)self;
    if (!check_count(count, 4)) return NULL;
    unsigned long long size = PyLong_Check(given[0]) ? PyLong_AsUnsignedLongLong(given[0]) : 0;
    if (PyErr_Occurred()) PyErr_Clear(), size = 0;
    if (!is_sequence(given[1]) || !is_sequence(given[2]) || !PyBytes_Check(given[3])) Py_RETURN_NONE;
    Py_ssize_t leaves = get_length(given[1]);
    if (leaves < 1 || leaves > MAX_LEAVES || get_length(given[2]) != leaves) Py_RETURN_NONE;
    uint8_t *nodes = PyMem_Malloc((size_t)leaves * (DIGEST_BYTES + sizeof(uint64_t)));
    if (!nodes) return PyErr_NoMemory();
    /* Behind the hashes, whose size keeps them aligned. */
    uint64_t *indices = (uint64_t *)(void *)(nodes + leaves * DIGEST_BYTES);
    if (read_leaves(given[1], given[2], size, indices, nodes) &&
        climb_jointly(indices, nodes, leaves, size, (const uint8_t *)PyBytes_AsString(given[3]), PyBytes_Size(given[3])))
        root = make_digest(nodes);
    else
        root = Py_NewRef(Py_None);
    PyMem_Free(nodes);
    return root;
}

/* The siblings of a level that are not themselves known, and the parents in the place of their children. */
static Py_ssize_t take_siblings(uint64_t *known, Py_ssize_t *count, const uint8_t *level, Py_ssize_t size, uint8_t *out) {
    Py_ssize_t made = 0, taken = 0;
    for (Py_ssize_t at = 0; at < *count; at++, made++) {
        uint64_t index = known[at], sibling = index ^ 1;
        if (at + 1 < *count && known[at + 1] == sibling) {
            at++;
        } else if (sibling < (uint64_t)size / DIGEST_BYTES) {
            memcpy(out + taken, level + sibling * DIGEST_BYTES, DIGEST_BYTES);
            taken += DIGEST_BYTES;
        }
        known[made] = index >> 1;
    }
    *count = made;
    return taken;
}

static PyObject *find_joint_path(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    PyObject *path = NULL;
    (void)self;
    if (!check_count(count, 2)) return NULL;
    if (!PyList_Check(given[0]) || !is_sequence(given[1])) Py_RETURN_NONE;
    Py_ssize_t height = PyList_Size(given[0]), leaves = get_length(given[1]), taken = 0;
    if (height < 1 || height > 64 || leaves < 1 || leaves > MAX_LEAVES) Py_RETURN_NONE;
    for (Py_ssize_t at = 0; at < height; at++)
        if (!PyBytes_Check(PyList_GetItem(given[0], at))) Py_RETURN_NONE;
    uint8_t *out = PyMem_Malloc((size_t)leaves * ((size_t)height * DIGEST_BYTES + sizeof(uint64_t)));
    if (!out) return PyErr_NoMemory();
    uint64_t *known = (uint64_t *)(void *)(out + leaves * height * DIGEST_BYTES);
    uint64_t size = (uint64_t)PyBytes_Size(PyList_GetItem(given[0], 0)) / DIGEST_BYTES;
    if (read_leaves(given[1], NULL, size, known, NULL)) {
        for (Py_ssize_t at = 0; at < height; at++) {
            PyObject *level = PyList_GetItem(given[0], at);
            taken += take_siblings(known, &leaves, (const uint8_t *)PyBytes_AsString(level), PyBytes_Size(level), out + taken);
        }
        path = PyBytes_FromStringAndSize((const char *)out, taken);
    } else {
        path = Py_NewRef(Py_None);
    }
    PyMem_Free(out);
    return path;
}

PyMethodDef JOINT_METHODS[] = {
    {"find_joint_root", FAST(find_joint_root), METH_FASTCALL,
     "find_joint_root(size, indices, leaves, path): the root to which they lead; None if they lead to none."},
    {"find_joint_path", FAST(find_joint_path), METH_FASTCALL,
     "find_joint_path(levels, indices): what stands beside the ways up from these leaves; None if there are none such."},
    {NULL, NULL, 0, NULL},
};
