/* Whether what a reader of JSON gave lies within the canonical encoding (docs/spec/1-encoding.md): keys, depth, integers.
   Texts are looked at as a whole, before. Whatever is not plain is left to Python, which says what is wrong with it. */
#include "args.h"

#define MAX_DEPTH 16
#define MAX_KEY 40
#define MAX_INTEGER ((1LL << 53) - 1)

static int is_key(PyObject *key) {
    Py_ssize_t size;
    if (!Py_IS_TYPE(key, &PyUnicode_Type)) return 0;
    const char *text = PyUnicode_AsUTF8AndSize(key, &size);
    if (!text) {
        PyErr_Clear();
        return 0;
    }
    if (size < 1 || size > MAX_KEY || text[0] < 'a' || text[0] > 'z') return 0;
    for (Py_ssize_t at = 1; at < size; at++) {
        char one = text[at];
        if (!((one >= 'a' && one <= 'z') || (one >= '0' && one <= '9') || one == '_')) return 0;
    }
    return 1;
}

static int is_plain_scalar(PyObject *value) {
    if (Py_IS_TYPE(value, &PyUnicode_Type) || value == Py_None || Py_IS_TYPE(value, &PyBool_Type)) return 1;
    if (!Py_IS_TYPE(value, &PyLong_Type)) return 0;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    return !overflow && number >= -MAX_INTEGER && number <= MAX_INTEGER;
}

int is_plain_value(PyObject *value, long depth) {
    if (Py_IS_TYPE(value, &PyDict_Type)) {
        PyObject *key, *member;
        Py_ssize_t at = 0;
        if (depth > MAX_DEPTH) return 0;
        while (PyDict_Next(value, &at, &key, &member))
            if (!is_key(key) || !is_plain_value(member, depth + 1)) return 0;
        return 1;
    }
    if (Py_IS_TYPE(value, &PyList_Type)) {
        if (depth > MAX_DEPTH) return 0;
        for (Py_ssize_t at = 0; at < PyList_Size(value); at++)
            if (!is_plain_value(PyList_GetItem(value, at), depth + 1)) return 0;
        return 1;
    }
    return is_plain_scalar(value);
}

static PyObject *is_plain(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    (void)self;
    if (!check_count(count, 2)) return NULL;
    long depth = PyLong_AsLong(given[1]);
    if (depth == -1 && PyErr_Occurred()) return NULL;
    int is_container = Py_IS_TYPE(given[0], &PyDict_Type) || Py_IS_TYPE(given[0], &PyList_Type);
    return PyBool_FromLong(is_container && is_plain_value(given[0], depth));
}

PyMethodDef PLAIN_METHODS[] = {
    {"is_plain", FAST(is_plain), METH_FASTCALL,
     "is_plain(value, depth): whether an object or a list that stands this deep, with good texts, lies within `cj`."},
    {NULL, NULL, 0, NULL},
};
