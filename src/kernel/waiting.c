/* Rows of a file while they wait to be sealed, each in one run of bytes (carnet/services/regrouping.py): what a person is
   told of it, and at its end what becomes of it, as it crosses to a worker. */
#include <stdlib.h>

#include "pack.h"

#define DIGEST_OF_SOURCE 16

struct row {
    const char *kind;
    const uint8_t *content, *data, *digest;
    Py_ssize_t kind_size, content_size, data_size;
    unsigned long long line, number, shape;
};

static int read_number(PyObject *given, unsigned long long *number) {
    *number = PyLong_AsUnsignedLongLong(given);
    return !(*number == (unsigned long long)-1 && PyErr_Occurred());
}

/* A row's parts: line, number, kind, content, source; what is shown of it if it has an origin; its digest and shape. */
static int read_row(PyObject *given, PyObject *digest, PyObject *shape, struct row *row) {
    if (!PyTuple_Check(given) || PyTuple_Size(given) < 8) {
        PyErr_SetString(PyExc_TypeError, "a row is a tuple of eight values at least");
        return 0;
    }
    PyObject *kind = PyTuple_GetItem(given, 3), *data = PyTuple_GetItem(given, 5), *origin = PyTuple_GetItem(given, 7);
    if (origin != Py_None) {
        if (!PyTuple_Check(origin) || !PyTuple_Size(origin)) {
            PyErr_SetString(PyExc_TypeError, "an origin is a tuple that begins with its data");
            return 0;
        }
        data = PyTuple_GetItem(origin, 0);
    }
    if (!PyUnicode_Check(kind)) {
        PyErr_SetString(PyExc_TypeError, "a kind is a text");
        return 0;
    }
    return read_number(PyTuple_GetItem(given, 0), &row->line) && read_number(PyTuple_GetItem(given, 1), &row->number) &&
           read_number(shape, &row->shape) && (row->kind = PyUnicode_AsUTF8AndSize(kind, &row->kind_size)) != NULL &&
           (row->content = get_bytes(PyTuple_GetItem(given, 4), &row->content_size)) != NULL &&
           (row->data = get_bytes(data, &row->data_size)) != NULL &&
           (row->digest = get_sized(digest, DIGEST_OF_SOURCE, "a digest")) != NULL;
}

static PyObject *pack_row(const struct row *row, uint8_t **room, size_t *size) {
    size_t most = 16 * MOST_HEAD + (size_t)row->data_size + (size_t)row->content_size + (size_t)row->kind_size;
    if (row->data_size > INT32_MAX || row->kind_size > INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a row has more bytes than can wait");
        return NULL;
    }
    if (most > *size) {
        uint8_t *grown = realloc(*room, 2 * most);
        if (!grown) return PyErr_NoMemory();
        *room = grown, *size = 2 * most;
    }
    uint8_t *to = *room;
    *to++ = 0x95;
    to = put_number(put_number(put_number(to, row->line), row->number), row->shape);
    to = put_bytes(to, row->data, (size_t)row->data_size);
    *to++ = 0x93;
    to = put_text(to, row->kind, (size_t)row->kind_size);
    to = put(to, row->content, (size_t)row->content_size);
    to = put_bytes(to, row->digest, DIGEST_OF_SOURCE);
    return PyBytes_FromStringAndSize((const char *)*room, to - *room);
}

static PyObject *pack_each(PyObject *rows, PyObject *digests, PyObject *shapes) {
    uint8_t *room = NULL;
    size_t size = 0;
    Py_ssize_t count = get_length(rows);
    if (get_length(digests) != count || get_length(shapes) != count) {
        PyErr_SetString(PyExc_ValueError, "each row has a digest and a shape");
        return NULL;
    }
    PyObject *packed = PyList_New(count);
    for (Py_ssize_t at = 0; packed && at < count; at++) {
        struct row row;
        PyObject *made = NULL;
        if (read_row(get_item(rows, at), get_item(digests, at), get_item(shapes, at), &row)) made = pack_row(&row, &room, &size);
        if (!made || PyList_SetItem(packed, at, made) < 0) Py_CLEAR(packed);
    }
    free(room);
    return packed;
}

static PyObject *pack_waiting(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    PyObject *rows, *digests = NULL, *shapes = NULL, *packed = NULL;
    (void)self;
    if (!check_count(count, 3) || !(rows = get_sequence(given[0]))) return NULL;
    if ((digests = get_sequence(given[1])) && (shapes = get_sequence(given[2]))) packed = pack_each(rows, digests, shapes);
    Py_DECREF(rows), Py_XDECREF(digests), Py_XDECREF(shapes);
    return packed;
}

/* How many bytes a number takes that begins with this one; 0 if it is none. */
static size_t measure_number(uint8_t first) {
    if (first < 0x80) return 1;
    return first >= 0xcc && first <= 0xcf ? 1 + ((size_t)1 << (first - 0xcc)) : 0;
}

/* Where the item begins in a row that waits: behind three numbers and some bytes. 0 if this is no such row. */
static size_t find_item(const uint8_t *row, size_t size) {
    size_t at = 1, data = 0;
    if (!size || row[0] != 0x95) return 0;
    for (int number = 0; number < 3; number++) {
        size_t bytes = at < size ? measure_number(row[at]) : 0;
        if (!bytes) return 0;
        at += bytes;
    }
    if (at >= size || row[at] < 0xc4 || row[at] > 0xc6) return 0;
    size_t bytes = (size_t)1 << (row[at++] - 0xc4);
    if (bytes > size - at) return 0;
    while (bytes--) data = data << 8 | row[at++];
    return data < size - at ? at + data : 0;
}

static PyObject *cut_items(PyObject *self, PyObject *given) {
    PyObject *rows = get_sequence(given), *items = rows ? PyList_New(get_length(rows)) : NULL;
    (void)self;
    for (Py_ssize_t at = 0; items && at < get_length(rows); at++) {
        Py_ssize_t size;
        PyObject *made = NULL;
        const uint8_t *row = get_bytes(get_item(rows, at), &size);
        size_t begins = row ? find_item(row, (size_t)size) : 0;
        if (begins) made = PyBytes_FromStringAndSize((const char *)row + begins, size - (Py_ssize_t)begins);
        else if (row) PyErr_SetString(PyExc_ValueError, "this is no row that waits");
        if (!made || PyList_SetItem(items, at, made) < 0) Py_CLEAR(items);
    }
    Py_XDECREF(rows);
    return items;
}

PyMethodDef WAITING_METHODS[] = {
    {"pack_waiting", FAST(pack_waiting), METH_FASTCALL, "pack_waiting(rows, digests, shapes): each row as it waits."},
    {"cut_items", cut_items, METH_O, "cut_items(rows): what becomes of each row that waits."},
    {NULL, NULL, 0, NULL},
};
