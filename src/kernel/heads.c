/* The heads of many chains on their way into the census tree (carnet.ledger.census, carnet.node.unwritten). */
#include <stdlib.h>

#include "census.h"

#define GROUPS 256

/* What many heads change: for each the first byte of its slot, and its leaf. */
struct leaves {
    Py_ssize_t count;
    uint8_t *groups, *leaves;
};

static int begin_leaves(struct leaves *made, Py_ssize_t most) {
    made->count = 0;
    made->groups = PyMem_Malloc((size_t)most * (1 + LEAF_BYTES) + 1);
    if (!made->groups) {
        PyErr_NoMemory();
        return 0;
    }
    made->leaves = made->groups + most;
    return 1;
}

static void add_leaf(struct leaves *made, const uint8_t *change) {
    made->groups[made->count] = change[0];
    memcpy(made->leaves + LEAF_BYTES * made->count++, change + SLOT_BYTES, LEAF_BYTES);
}

/* The leaves of each first byte, joined, in the order in which they were added. */
static PyObject *end_leaves(struct leaves *made) {
    Py_ssize_t counts[GROUPS] = {0};
    uint8_t *ends[GROUPS];
    PyObject *groups = PyList_New(GROUPS);
    if (!groups) return NULL;
    for (Py_ssize_t at = 0; at < made->count; at++) counts[made->groups[at]]++;
    for (int group = 0; group < GROUPS; group++) {
        PyObject *one = PyBytes_FromStringAndSize(NULL, LEAF_BYTES * counts[group]);
        if (!one || PyList_SetItem(groups, group, one) < 0) {
            Py_DECREF(groups);
            return NULL;
        }
        ends[group] = (uint8_t *)PyBytes_AsString(one);
    }
    for (Py_ssize_t at = 0; at < made->count; at++) {
        memcpy(ends[made->groups[at]], made->leaves + LEAF_BYTES * at, LEAF_BYTES);
        ends[made->groups[at]] += LEAF_BYTES;
    }
    return groups;
}

static PyObject *make_changes(PyObject *self, PyObject *given) {
    struct leaves made;
    uint8_t change[CHANGE_BYTES];
    PyObject *heads = get_sequence(given), *groups = NULL;
    (void)self;
    if (!heads) return NULL;
    Py_ssize_t count = get_length(heads), at = 0;
    if (begin_leaves(&made, count)) {
        for (; at < count && make_change(get_item(heads, at), change); at++) add_leaf(&made, change);
        if (at == count) groups = end_leaves(&made);
        PyMem_Free(made.groups);
    }
    Py_DECREF(heads);
    return groups;
}

static int compare_changes(const void *one, const void *other) { return memcmp(one, other, CHANGE_BYTES); }

static PyObject *list_changes(PyObject *self, PyObject *given) {
    Py_ssize_t size;
    const uint8_t *leaves = get_bytes(given, &size);
    (void)self;
    if (!leaves) return NULL;
    if (size % LEAF_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a leaf has a name of 16 bytes and a hash of 32");
        return NULL;
    }
    Py_ssize_t count = size / LEAF_BYTES;
    uint8_t *changes = PyMem_Malloc((size_t)count * CHANGE_BYTES + 1);
    if (!changes) return PyErr_NoMemory();
    for (Py_ssize_t at = 0; at < count; at++) {
        find_slot(leaves + LEAF_BYTES * at, changes + CHANGE_BYTES * at);
        memcpy(changes + CHANGE_BYTES * at + SLOT_BYTES, leaves + LEAF_BYTES * at, LEAF_BYTES);
    }
    qsort(changes, (size_t)count, CHANGE_BYTES, compare_changes);
    PyObject *made = PyList_New(count);
    for (Py_ssize_t at = 0; made && at < count; at++) {
        PyObject *one = PyBytes_FromStringAndSize((const char *)changes + CHANGE_BYTES * at, CHANGE_BYTES);
        if (!one || PyList_SetItem(made, at, one) < 0) Py_CLEAR(made);
    }
    PyMem_Free(changes);
    return made;
}

PyMethodDef HEAD_METHODS[] = {
    {"make_changes", make_changes, METH_O,
     "make_changes(heads): the leaves that give chains these heads, joined, for each first byte of their slots."},
    {"list_changes", list_changes, METH_O, "list_changes(leaves): the changes that give the tree these leaves, ascending."},
    {NULL, NULL, 0, NULL},
};
