/* What the functions of this folder do with their arguments. These are bytes, so that nothing changes while it is
   hashed; whoever calls with anything else is told by a TypeError or a ValueError. */
#ifndef CARNET_ARGS_H
#define CARNET_ARGS_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <string.h>

#include "hash.h"

#define FAST(name) ((PyCFunction)(void (*)(void))(name))

/* Each file's functions, which end with an empty one; `module.c` takes them all. */
extern PyMethodDef TREE_METHODS[];
extern PyMethodDef FIELD_METHODS[];
extern PyMethodDef CENSUS_METHODS[];
extern PyMethodDef JOINT_METHODS[];
extern PyMethodDef STATEMENT_METHODS[];
extern PyMethodDef PLAIN_METHODS[];
extern PyMethodDef ROW_METHODS[];
extern PyMethodDef WAY_METHODS[];
extern PyMethodDef OPENING_METHODS[];
extern PyMethodDef ACCREDITATION_METHODS[];
extern PyMethodDef PROOF_METHODS[];
extern PyMethodDef LINK_METHODS[];
extern PyMethodDef HEAD_METHODS[];
extern PyMethodDef DIGEST_METHODS[];
extern PyMethodDef INSPECTION_METHODS[];
extern PyMethodDef WAITING_METHODS[];

/* Whether a decoded value lies within the canonical encoding, but for its texts (plain.c). */
int is_plain_value(PyObject *value, long depth);

static inline const uint8_t *get_bytes(PyObject *given, Py_ssize_t *size) {
    char *data;
    if (PyBytes_AsStringAndSize(given, &data, size) < 0) return NULL;
    return (const uint8_t *)data;
}

static inline const uint8_t *get_sized(PyObject *given, Py_ssize_t wanted, const char *what) {
    Py_ssize_t size;
    const uint8_t *data = get_bytes(given, &size);
    if (data && size != wanted) {
        PyErr_Format(PyExc_ValueError, "%s has %zd bytes, not %zd", what, wanted, size);
        return NULL;
    }
    return data;
}

static inline int check_count(Py_ssize_t given, Py_ssize_t wanted) {
    if (given == wanted) return 1;
    PyErr_Format(PyExc_TypeError, "takes %zd arguments, not %zd", wanted, given);
    return 0;
}

static inline int is_sequence(PyObject *given) { return PyList_Check(given) || PyTuple_Check(given); }

/* A list or a tuple, as it is; anything else as a list. A new reference. */
static inline PyObject *get_sequence(PyObject *given) {
    if (is_sequence(given)) return Py_NewRef(given);
    return PySequence_List(given);
}

static inline Py_ssize_t get_length(PyObject *sequence) {
    return PyList_Check(sequence) ? PyList_Size(sequence) : PyTuple_Size(sequence);
}

static inline PyObject *get_item(PyObject *sequence, Py_ssize_t at) {
    return PyList_Check(sequence) ? PyList_GetItem(sequence, at) : PyTuple_GetItem(sequence, at);
}

static inline PyObject *make_digest(const uint8_t digest[DIGEST_BYTES]) {
    return PyBytes_FromStringAndSize((const char *)digest, DIGEST_BYTES);
}

static inline void write_u32(uint8_t *at, uint32_t number) {
    at[0] = (uint8_t)(number >> 24), at[1] = (uint8_t)(number >> 16), at[2] = (uint8_t)(number >> 8), at[3] = (uint8_t)number;
}


#endif
