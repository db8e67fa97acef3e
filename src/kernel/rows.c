/* Rows as COPY in binary takes them (PostgreSQL's manual, COPY, "Binary Format"), and columns as arrays do: no object
   for a value, and no call. */
#include <stdint.h>
#include <stdlib.h>

#include "args.h"

#define MAX_COLUMNS 1600

struct buffer {
    uint8_t *data;
    size_t size, room;
};

/* Where so many more bytes go, or NULL and an error. */
static uint8_t *make_room(struct buffer *buffer, size_t size) {
    if (size > buffer->room - buffer->size) {
        size_t room = buffer->room + size > 2 * buffer->room ? buffer->room + size : 2 * buffer->room;
        uint8_t *data = room > SIZE_MAX / 2 ? NULL : realloc(buffer->data, room);
        if (!data) {
            PyErr_NoMemory();
            return NULL;
        }
        buffer->data = data, buffer->room = room;
    }
    uint8_t *at = buffer->data + buffer->size;
    buffer->size += size;
    return at;
}

static int add_bytes(struct buffer *buffer, const char *data, Py_ssize_t size) {
    uint8_t *at;
    if (size > INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a value has more bytes than a row can say");
        return 0;
    }
    if (!(at = make_room(buffer, 4 + (size_t)size))) return 0;
    write_u32(at, (uint32_t)size);
    memcpy(at + 4, data, (size_t)size);
    return 1;
}

static int add_number(struct buffer *buffer, PyObject *value) {
    uint8_t *at;
    long long number = PyLong_AsLongLong(value);
    if (number == -1 && PyErr_Occurred()) return 0;
    if (!(at = make_room(buffer, 12))) return 0;
    write_u32(at, 8);
    write_u32(at + 4, (uint32_t)((unsigned long long)number >> 32));
    write_u32(at + 8, (uint32_t)number);
    return 1;
}

static int add_null(struct buffer *buffer) {
    uint8_t *at = make_room(buffer, 4);
    if (at) write_u32(at, UINT32_MAX);
    return at != NULL;
}

static int add_value(struct buffer *buffer, char kind, PyObject *value) {
    if (value == Py_None) return add_null(buffer);
    if (kind == 'i' && PyLong_Check(value)) return add_number(buffer, value);
    if (kind == 'b' && PyBytes_Check(value)) return add_bytes(buffer, PyBytes_AsString(value), PyBytes_Size(value));
    if (kind == 'b' && PyByteArray_Check(value))
        return add_bytes(buffer, PyByteArray_AsString(value), PyByteArray_Size(value));
    if (kind == 't' && PyUnicode_Check(value)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(value, &size);
        return text && add_bytes(buffer, text, size);
    }
    PyErr_SetString(PyExc_TypeError, "a value is not of its column's type");
    return 0;
}

/* The layout has as many values as the row: `find_layout` saw to it. */
static int add_row(struct buffer *buffer, PyObject *row, const char *layout, Py_ssize_t columns) {
    uint8_t *at = make_room(buffer, 2);
    Py_ssize_t next = 0;
    if (!at) return 0;
    at[0] = (uint8_t)(columns >> 8), at[1] = (uint8_t)columns;
    for (Py_ssize_t column = 0; column < columns; column++) {
        int is_left_out = layout[column] == '-';
        if (is_left_out ? !add_null(buffer) : !add_value(buffer, layout[column], PyTuple_GetItem(row, next++))) return 0;
    }
    return 1;
}

/* The layout of rows with so many values, or NULL and an error. */
static const char *find_layout(PyObject *layouts, Py_ssize_t count, Py_ssize_t *columns) {
    PyObject *key = PyLong_FromSsize_t(count), *layout = key ? PyDict_GetItemWithError(layouts, key) : NULL;
    Py_XDECREF(key);
    if (!layout) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "no row has %zd values", count);
        return NULL;
    }
    const char *kinds = (const char *)get_bytes(layout, columns);
    if (!kinds) return NULL;
    Py_ssize_t values = 0;
    for (Py_ssize_t at = 0; at < *columns; at++) values += kinds[at] != '-';
    if (values == count && *columns <= MAX_COLUMNS) return kinds;
    PyErr_Format(PyExc_ValueError, "a layout of %zd values, for rows of %zd", values, count);
    return NULL;
}

static int add_rows(struct buffer *buffer, PyObject *rows, PyObject *layouts) {
    Py_ssize_t known = -1, columns = 0;
    const char *layout = NULL;
    for (Py_ssize_t at = 0; at < get_length(rows); at++) {
        PyObject *row = get_item(rows, at);
        if (!PyTuple_Check(row)) {
            PyErr_SetString(PyExc_TypeError, "a row is a tuple");
            return 0;
        }
        if (PyTuple_Size(row) != known) {
            known = PyTuple_Size(row);
            if (!(layout = find_layout(layouts, known, &columns))) return 0;
        }
        if (!add_row(buffer, row, layout, columns)) return 0;
    }
    return 1;
}

static PyObject *pack_rows(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct buffer buffer = {0};
    PyObject *rows, *packed = NULL;
    (void)self;
    if (!check_count(count, 2)) return NULL;
    if (!PyDict_Check(given[1])) {
        PyErr_SetString(PyExc_TypeError, "layouts stand in a dict");
        return NULL;
    }
    if (!(rows = get_sequence(given[0]))) return NULL;
    if (add_rows(&buffer, rows, given[1]))
        packed = PyBytes_FromStringAndSize((const char *)buffer.data, (Py_ssize_t)buffer.size);
    free(buffer.data);
    Py_DECREF(rows);
    return packed;
}

static PyObject *pack_column(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct buffer buffer = {0};
    PyObject *values, *packed = NULL;
    const uint8_t *kind;
    (void)self;
    if (!check_count(count, 2) || !(kind = get_sized(given[1], 1, "a kind"))) return NULL;
    if (!(values = get_sequence(given[0]))) return NULL;
    for (Py_ssize_t at = 0; at < get_length(values); at++)
        if (!add_value(&buffer, (char)*kind, get_item(values, at))) goto failed;
    packed = PyBytes_FromStringAndSize((const char *)buffer.data, (Py_ssize_t)buffer.size);
failed:
    free(buffer.data);
    Py_DECREF(values);
    return packed;
}

PyMethodDef ROW_METHODS[] = {
    {"pack_rows", FAST(pack_rows), METH_FASTCALL, "pack_rows(rows, layouts): rows as COPY in binary takes them."},
    {"pack_column", FAST(pack_column), METH_FASTCALL, "pack_column(values, kind): values as an array in binary takes them."},
    {NULL, NULL, 0, NULL},
};
