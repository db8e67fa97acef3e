/* The heads of many chains on their way into the census tree (carnet.ledger.census, carnet.node.unwritten). */
#include <stdlib.h>

#include "census.h"

#define GROUPS 256
#define PAGE_CHAINS 1024
#define MAX_SEQ ((1ULL << 53) - 1)

#define TOGETHER 16

/* What many heads change: for each the first byte of its slot, and its leaf; and heads that are hashed next. */
struct leaves {
    Py_ssize_t count, waiting;
    uint8_t *groups, *leaves, heads[TOGETHER * HEAD_BYTES];
};

static int begin_leaves(struct leaves *made, Py_ssize_t most) {
    made->count = made->waiting = 0;
    made->groups = PyMem_Malloc((size_t)most * (1 + LEAF_BYTES) + 1);
    if (!made->groups) {
        PyErr_NoMemory();
        return 0;
    }
    made->leaves = made->groups + most;
    return 1;
}

static void hash_waiting(struct leaves *made) {
    uint8_t changes[TOGETHER * CHANGE_BYTES];
    hash_heads(made->heads, made->waiting, changes);
    for (const uint8_t *change = changes; made->waiting > 0; made->waiting--, change += CHANGE_BYTES) {
        made->groups[made->count] = change[0];
        memcpy(made->leaves + LEAF_BYTES * made->count++, change + SLOT_BYTES, LEAF_BYTES);
    }
}

/* Where the next head is put, before it is counted. */
static uint8_t *get_next_head(struct leaves *made) { return made->heads + HEAD_BYTES * made->waiting; }

static void end_head(struct leaves *made) {
    if (++made->waiting == TOGETHER) hash_waiting(made);
}

/* The leaves of each first byte, joined, in the order in which they were added. */
static PyObject *end_leaves(struct leaves *made) {
    Py_ssize_t counts[GROUPS] = {0};
    uint8_t *ends[GROUPS];
    PyObject *groups = PyList_New(GROUPS);
    if (!groups) return NULL;
    hash_waiting(made);
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
    PyObject *heads = get_sequence(given), *groups = NULL;
    (void)self;
    if (!heads) return NULL;
    Py_ssize_t count = get_length(heads), at = 0;
    if (begin_leaves(&made, count)) {
        while (at < count && read_head(get_item(heads, at), get_next_head(&made))) at++, end_head(&made);
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
    find_all_slots(leaves, count, changes, CHANGE_BYTES);
    for (Py_ssize_t at = 0; at < count; at++)
        memcpy(changes + CHANGE_BYTES * at + SLOT_BYTES, leaves + LEAF_BYTES * at, LEAF_BYTES);
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
#define NOTED_BYTES (WRITTEN_AT + 1)

/* A head that is to be written, packed: seq, epoch and seal in digits, and the link's id. */
enum { SEQ_DIGITS = 16, EPOCH_DIGITS = 10, SEAL_DIGITS = 16 };
#define PACKED_BYTES (SEQ_DIGITS + EPOCH_DIGITS + SEAL_DIGITS + DIGEST_BYTES)
#define MAX_SEAL 9999999999999999ULL

static uint64_t read_number(const uint8_t *at, int size) {
    uint64_t number = 0;
    for (int place = 0; place < size; place++) number = number << 8 | at[place];
    return number;
}

static uint8_t *write_digits(uint8_t *at, int size, uint64_t number) {
    for (int place = size - 1; place >= 0; place--, number /= 10) at[place] = (uint8_t)('0' + number % 10);
    return at + size;
}

/* The page in which a chain's head would be, of numbers that are given; NULL and an error, or none. */
static const uint8_t *find_page(PyObject *pages, unsigned long long number) {
    PyObject *key = PyLong_FromUnsignedLongLong(number / PAGE_CHAINS);
    if (!key) return NULL;
    PyObject *page = PyDict_GetItemWithError(pages, key);
    Py_DECREF(key);
    if (!page) return NULL;
    if (!PyByteArray_Check(page) || PyByteArray_Size(page) != PAGE_CHAINS * NOTED_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a page is a bytearray of 1,024 heads");
        return NULL;
    }
    return (const uint8_t *)PyByteArray_AsString(page);
}

static int append(PyObject *list, PyObject *one) {
    int is_done = one && PyList_Append(list, one) == 0;
    Py_XDECREF(one);
    return is_done;
}

/* The parameters that write a head into its chain's row: seq, epoch, link id, seal, the chain's number. */
static PyObject *make_row(const uint8_t *head, unsigned long long number) {
    PyObject *row = PyTuple_New(5);
    if (!row) return NULL;
    PyObject *parts[5] = {
        PyLong_FromUnsignedLongLong(read_number(head + SEQ_AT, 8)), PyLong_FromUnsignedLongLong(read_number(head + EPOCH_AT, 4)),
        PyByteArray_FromStringAndSize((const char *)head + ID_AT, DIGEST_BYTES),
        PyLong_FromUnsignedLongLong(read_number(head + SEAL_AT, 8)), PyLong_FromUnsignedLongLong(number),
    };
    int is_made = 1;
    for (int at = 0; at < 5; at++)
        if (!parts[at] || PyTuple_SetItem(row, at, parts[at]) < 0) is_made = 0;
    if (!is_made) Py_CLEAR(row);
    return row;
}

/* Heads of one page that are to be written: the numbers of their chains, which ascend. */
struct moved {
    const uint8_t *page;
    Py_ssize_t count;
    unsigned long long numbers[PAGE_CHAINS];
};

static const uint8_t *get_noted(const struct moved *moved, unsigned long long number) {
    return moved->page + number % PAGE_CHAINS * NOTED_BYTES;
}

/* From the first to the last: what is blank is not written. */
static PyObject *make_stretch(const struct moved *moved) {
    unsigned long long first = moved->numbers[0], last = moved->numbers[moved->count - 1];
    PyObject *packed = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(last - first + 1) * PACKED_BYTES);
    if (!packed) return NULL;
    uint8_t *records = (uint8_t *)PyByteArray_AsString(packed);
    memset(records, ' ', (size_t)(last - first + 1) * PACKED_BYTES);
    for (Py_ssize_t at = 0; at < moved->count; at++) {
        const uint8_t *head = get_noted(moved, moved->numbers[at]);
        uint8_t *record = records + (moved->numbers[at] - first) * PACKED_BYTES;
        record = write_digits(record, SEQ_DIGITS, read_number(head + SEQ_AT, 8));
        record = write_digits(record, EPOCH_DIGITS, read_number(head + EPOCH_AT, 4));
        record = write_digits(record, SEAL_DIGITS, read_number(head + SEAL_AT, 8));
        memcpy(record, head + ID_AT, DIGEST_BYTES);
    }
    PyObject *made = Py_BuildValue("KKO", first, last, packed);
    Py_DECREF(packed);
    return made;
}

static int end_page(struct moved *moved, Py_ssize_t least, PyObject *rows, PyObject *stretches) {
    int is_done = 1;
    if (moved->count && moved->count >= least)
        is_done = append(stretches, make_stretch(moved));
    else
        for (Py_ssize_t at = 0; is_done && at < moved->count; at++)
            is_done = append(rows, make_row(get_noted(moved, moved->numbers[at]), moved->numbers[at]));
    moved->count = 0;
    return is_done;
}

/* The chain's head, of the page that is held for it; what stands there otherwise is none. */
static int take_one(const uint8_t *head, unsigned long long number, struct leaves *made, struct moved *moved) {
    if (read_number(head + SEQ_AT, 8) > MAX_SEQ || read_number(head + SEAL_AT, 8) > MAX_SEAL) {
        PyErr_SetString(PyExc_ValueError, "a number is out of range");
        return 0;
    }
    uint8_t *next = get_next_head(made);
    memcpy(next, head, NAME_BYTES);
    memcpy(next + NAME_BYTES, head + EPOCH_AT, 4);
    memcpy(next + NAME_BYTES + 4, head + SEQ_AT, 8);
    memcpy(next + NAME_BYTES + 12, head + ID_AT, DIGEST_BYTES);
    end_head(made);
    if (!head[WRITTEN_AT]) moved->numbers[moved->count++] = number;
    return 1;
}

struct taken {
    struct leaves made;
    struct moved moved;
    PyObject *rows, *stretches, *left;
};

/* What the heads of these chains change, what is to be written, and the chains that are in no page. */
static int take_all(PyObject *pages, PyObject *numbers, Py_ssize_t least, struct taken *taken) {
    struct moved *moved = &taken->moved;
    unsigned long long last = 0;
    for (Py_ssize_t at = 0, count = get_length(numbers); at < count; at++) {
        PyObject *given = get_item(numbers, at);
        unsigned long long number = PyLong_AsUnsignedLongLong(given);
        if (PyErr_Occurred()) return 0;
        if (at && number <= last) {
            PyErr_SetString(PyExc_ValueError, "numbers ascend");
            return 0;
        }
        if (!at || number / PAGE_CHAINS != last / PAGE_CHAINS) {
            if (!end_page(moved, least, taken->rows, taken->stretches)) return 0;
            if (!(moved->page = find_page(pages, number)) && PyErr_Occurred()) return 0;
        }
        last = number;
        /* An opening, of seq 0, is never in a page. */
        if (!moved->page || !read_number(get_noted(moved, number) + SEQ_AT, 8)) {
            if (PyList_Append(taken->left, given) < 0) return 0;
        } else if (!take_one(get_noted(moved, number), number, &taken->made, moved)) {
            return 0;
        }
    }
    return end_page(moved, least, taken->rows, taken->stretches);
}

static PyObject *take_heads(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct taken taken = {.rows = NULL};
    (void)self;
    if (!check_count(count, 3)) return NULL;
    if (!PyDict_Check(given[0]) || !is_sequence(given[1])) {
        PyErr_SetString(PyExc_TypeError, "takes pages in a dict, and numbers in a list or a tuple");
        return NULL;
    }
    Py_ssize_t least = PyLong_AsSsize_t(given[2]);
    if (PyErr_Occurred() || !begin_leaves(&taken.made, get_length(given[1]))) return NULL;
    PyObject *groups = NULL, *made = NULL;
    taken.rows = PyList_New(0), taken.stretches = PyList_New(0), taken.left = PyList_New(0);
    if (taken.rows && taken.stretches && taken.left && take_all(given[0], given[1], least, &taken)) groups = end_leaves(&taken.made);
    if (groups) made = PyTuple_Pack(4, groups, taken.rows, taken.stretches, taken.left);
    PyMem_Free(taken.made.groups);
    Py_XDECREF(groups);
    Py_XDECREF(taken.rows);
    Py_XDECREF(taken.stretches);
    Py_XDECREF(taken.left);
    return made;
}

PyMethodDef HEAD_METHODS[] = {
    {"make_changes", make_changes, METH_O,
     "make_changes(heads): the leaves that give chains these heads, joined, for each first byte of their slots."},
    {"list_changes", list_changes, METH_O, "list_changes(leaves): the changes that give the tree these leaves, ascending."},
    {"take_heads", FAST(take_heads), METH_FASTCALL,
     "take_heads(pages, numbers, least): what the heads of these chains change, the rows to be written, the same packed where"
     " a page has so many of them, and the chains that are in no page."},
    {NULL, NULL, 0, NULL},
};
