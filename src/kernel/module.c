/* The module `carnet._kernel`: what is hashed for each entry and each node of a tree, without an object in between.

   Each function gives what the function of the same name in Python gives, to the byte; where there is no compiler,
   Python's own are used (docs/adr/0024-a-kernel-in-c.md). It knows bytes; it refuses to know what they mean. */
#include "args.h"

static PyObject *hash_of(PyObject *self, PyObject *given) {
    uint8_t digest[DIGEST_BYTES];
    Py_buffer data;
    (void)self;
    if (PyObject_GetBuffer(given, &data, PyBUF_SIMPLE) < 0) return NULL;
    sha256_of(data.buf, (size_t)data.len, digest);
    PyBuffer_Release(&data);
    return make_digest(digest);
}

static PyObject *shake256_of(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    Py_ssize_t size;
    const uint8_t *data;
    (void)self;
    if (!check_count(count, 2) || !(data = get_bytes(given[0], &size))) return NULL;
    Py_ssize_t wanted = PyLong_AsSsize_t(given[1]);
    if (wanted == -1 && PyErr_Occurred()) return NULL;
    if (wanted < 0) {
        PyErr_SetString(PyExc_ValueError, "a size is not negative");
        return NULL;
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, wanted);
    if (made) shake256(data, (size_t)size, "", 0, (uint8_t *)PyBytes_AsString(made), (size_t)wanted);
    return made;
}

static PyMethodDef METHODS[] = {
    {"sha256", hash_of, METH_O, "sha256(data): the SHA-256 digest of bytes, or of what gives them as a buffer."},
    {"shake256", FAST(shake256_of), METH_FASTCALL, "shake256(data, size): so many bytes of SHAKE-256."},
    {NULL, NULL, 0, NULL},
};

/* What it was compiled from, which `hatch_build.py` says: carnet/kernel.py takes no binary of other sources. */
#ifndef CARNET_BUILT_FROM
#define CARNET_BUILT_FROM ""
#endif

static PyMethodDef *const TABLES[] = {
    TREE_METHODS, CENSUS_METHODS, JOINT_METHODS, STATEMENT_METHODS,
    PLAIN_METHODS, WAY_METHODS,    ROW_METHODS,   FIELD_METHODS,     OPENING_METHODS,
    ACCREDITATION_METHODS, PROOF_METHODS, LINK_METHODS, HEAD_METHODS, DIGEST_METHODS, INSPECTION_METHODS,
    WAITING_METHODS,
};

static int start(PyObject *module) {
    shake256_choose();
    if (PyModule_AddIntConstant(module, "HAS_INSTRUCTIONS", sha256_choose()) < 0) return -1;
    if (PyModule_AddStringConstant(module, "BUILT_FROM", CARNET_BUILT_FROM) < 0) return -1;
    for (size_t at = 0; at < sizeof TABLES / sizeof *TABLES; at++)
        if (PyModule_AddFunctions(module, TABLES[at]) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, start}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "carnet._kernel", "Hashes of entries and trees, in C.", 0, METHODS, SLOTS, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&MODULE); }
