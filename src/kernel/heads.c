/* The heads of many chains on their way into the census tree (carnet.ledger.census, carnet.node.unwritten). */
#include <stdlib.h>

#include "census.h"

#define GROUPS 256
#define PAGE_CHAINS 1024
#define MAX_SEQ ((1ULL << 53) - 1)

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
    Py_ssize_t count;
    const uint8_t *leaves = get_leaves(given, &count);
    (void)self;
    if (!leaves) return NULL;
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

/* A head as a page holds it: chain16, seq (8 bytes), epoch (4), link id, seal (8), whether its chain's row tells it. */
enum { SEQ_AT = NAME_BYTES, EPOCH_AT = SEQ_AT + 8, ID_AT = EPOCH_AT + 4, SEAL_AT = ID_AT + DIGEST_BYTES, WRITTEN_AT = SEAL_AT + 8 };
#define HEAD_BYTES (WRITTEN_AT + 1)

static uint64_t read_number(const uint8_t *at, int size) {
    uint64_t number = 0;
    for (int place = 0; place < size; place++) number = number << 8 | at[place];
    return number;
}

/* Copy a chain's head out of its page; 1 done, 0 there is none, -1 an error. An opening, of seq 0, is never in one. */
static int find_head(PyObject *pages, unsigned long long number, uint8_t head[HEAD_BYTES]) {
    PyObject *key = PyLong_FromUnsignedLongLong(number / PAGE_CHAINS);
    if (!key) return -1;
    PyObject *page = PyDict_GetItemWithError(pages, key);
    Py_DECREF(key);
    if (!page) return PyErr_Occurred() ? -1 : 0;
    if (!PyByteArray_Check(page) || PyByteArray_Size(page) != PAGE_CHAINS * HEAD_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a page is a bytearray of 1,024 heads");
        return -1;
    }
    memcpy(head, PyByteArray_AsString(page) + number % PAGE_CHAINS * HEAD_BYTES, HEAD_BYTES);
    return read_number(head + SEQ_AT, 8) > 0;
}

/* The parameters that write a head into its chain's row: seq, epoch, link id, seal, the chain's number. */
static PyObject *make_row(const uint8_t *head, PyObject *number) {
    PyObject *row = PyTuple_New(5);
    if (!row) return NULL;
    PyObject *parts[5] = {
        PyLong_FromUnsignedLongLong(read_number(head + SEQ_AT, 8)), PyLong_FromUnsignedLongLong(read_number(head + EPOCH_AT, 4)),
        PyByteArray_FromStringAndSize((const char *)head + ID_AT, DIGEST_BYTES),
        PyLong_FromUnsignedLongLong(read_number(head + SEAL_AT, 8)), Py_NewRef(number),
    };
    int is_made = 1;
    for (int at = 0; at < 5; at++)
        if (!parts[at] || PyTuple_SetItem(row, at, parts[at]) < 0) is_made = 0;
    if (!is_made) Py_CLEAR(row);
    return row;
}

static int append(PyObject *list, PyObject *one) {
    int is_done = one && PyList_Append(list, one) == 0;
    Py_XDECREF(one);
    return is_done;
}

/* What the heads of these chains change, the rows that are to be written, and the chains that are in no page. */
static int take_all(PyObject *pages, PyObject *numbers, struct leaves *made, PyObject *rows, PyObject *left) {
    uint8_t head[HEAD_BYTES], parts[HEAD_NUMBERS], change[CHANGE_BYTES];
    for (Py_ssize_t at = 0, count = get_length(numbers); at < count; at++) {
        PyObject *given = get_item(numbers, at);
        unsigned long long number = PyLong_AsUnsignedLongLong(given);
        if (PyErr_Occurred()) return 0;
        int found = find_head(pages, number, head);
        if (found < 0 || (!found && PyList_Append(left, given) < 0)) return 0;
        if (!found) continue;
        if (read_number(head + SEQ_AT, 8) > MAX_SEQ) {
            PyErr_SetString(PyExc_ValueError, "a number is out of range");
            return 0;
        }
        memcpy(parts, head + EPOCH_AT, 4);
        memcpy(parts + 4, head + SEQ_AT, 8);
        hash_head(head, parts, head + ID_AT, change);
        add_leaf(made, change);
        if (!head[WRITTEN_AT] && !append(rows, make_row(head, given))) return 0;
    }
    return 1;
}

static PyObject *take_heads(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct leaves made;
    (void)self;
    if (!check_count(count, 2)) return NULL;
    if (!PyDict_Check(given[0]) || !is_sequence(given[1])) {
        PyErr_SetString(PyExc_TypeError, "takes pages in a dict, and numbers in a list or a tuple");
        return NULL;
    }
    if (!begin_leaves(&made, get_length(given[1]))) return NULL;
    PyObject *rows = PyList_New(0), *left = PyList_New(0), *groups = NULL, *taken = NULL;
    if (rows && left && take_all(given[0], given[1], &made, rows, left)) groups = end_leaves(&made);
    if (groups) taken = PyTuple_Pack(3, groups, rows, left);
    PyMem_Free(made.groups);
    Py_XDECREF(groups);
    Py_XDECREF(rows);
    Py_XDECREF(left);
    return taken;
}

PyMethodDef HEAD_METHODS[] = {
    {"make_changes", make_changes, METH_O,
     "make_changes(heads): the leaves that give chains these heads, joined, for each first byte of their slots."},
    {"list_changes", list_changes, METH_O, "list_changes(leaves): the changes that give the tree these leaves, ascending."},
    {"take_heads", FAST(take_heads), METH_FASTCALL,
     "take_heads(pages, numbers): what the heads of these chains change, the rows to be written, and the chains that are in"
     " no page."},
    {NULL, NULL, 0, NULL},
};
