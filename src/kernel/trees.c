/* Paths and levels of Merkle trees (RFC 9162, 2.1). */
#include "args.h"

/* As an inner node, of hashes that may have been cut short: it leads nowhere, and that is for the caller to find. */
static void hash_pair(const uint8_t *left, Py_ssize_t left_size, const uint8_t *right, Py_ssize_t right_size, uint8_t *digest) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, "\x01", 1);
    sha256_add(&hash, left, (size_t)left_size);
    sha256_add(&hash, right, (size_t)right_size);
    sha256_end(&hash, digest);
}

static PyObject *climb(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t node[DIGEST_BYTES], sides[32] = {0};
    const uint8_t *below;
    Py_ssize_t size;
    PyObject *siblings;
    (void)self;
    if (!check_count(count, 3)) return NULL;
    if (!(below = get_bytes(given[0], &size))) return NULL;
    if (!PyLong_CheckExact(given[1])) {
        PyErr_SetString(PyExc_TypeError, "the sides are an int");
        return NULL;
    }
    if (!(siblings = get_sequence(given[2]))) return NULL;
    Py_ssize_t height = get_length(siblings);
    if (height > 256) {
        PyErr_SetString(PyExc_ValueError, "no path has more than 256 hashes");
        goto failed;
    }
    if (height <= 64) {
        /* Bits above the path are not looked at. */
        unsigned long long bits = PyLong_AsUnsignedLongLongMask(given[1]);
        if (PyErr_Occurred()) goto failed;
        for (int at = 0; at < 8; at++) sides[at] = (uint8_t)(bits >> 8 * at);
    } else {
        PyObject *bits = PyObject_CallMethod(given[1], "to_bytes", "is", 32, "little");
        const uint8_t *data = bits ? get_sized(bits, 32, "the sides") : NULL;
        if (data) memcpy(sides, data, 32);
        Py_XDECREF(bits);
        if (!data) goto failed;
    }
    if (!height) {
        Py_DECREF(siblings);
        return Py_NewRef(given[0]);
    }
    for (Py_ssize_t at = 0; at < height; at++) {
        Py_ssize_t beside_size;
        const uint8_t *beside = get_bytes(get_item(siblings, at), &beside_size);
        if (!beside) goto failed;
        int is_left = sides[at / 8] >> at % 8 & 1;
        const uint8_t *left = is_left ? beside : below, *right = is_left ? below : beside;
        if (size == DIGEST_BYTES && beside_size == DIGEST_BYTES)
            sha256_node(left, right, node);
        else
            hash_pair(left, is_left ? beside_size : size, right, is_left ? size : beside_size, node);
        below = node, size = DIGEST_BYTES;
    }
    Py_DECREF(siblings);
    return make_digest(node);
failed:
    Py_DECREF(siblings);
    return NULL;
}

static PyObject *hash_levels(PyObject *self, PyObject *given) {
    Py_ssize_t size;
    const uint8_t *level = get_bytes(given, &size);
    (void)self;
    if (!level) return NULL;
    if (size % DIGEST_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a leaf hash has 32 bytes");
        return NULL;
    }
    PyObject *levels = PyList_New(0);
    if (!levels || PyList_Append(levels, given) < 0) goto failed;
    while (size > DIGEST_BYTES) {
        Py_ssize_t paired = size / (2 * DIGEST_BYTES), above = (size / DIGEST_BYTES + 1) / 2 * DIGEST_BYTES;
        PyObject *made = PyBytes_FromStringAndSize(NULL, above);
        if (!made) goto failed;
        uint8_t *parents = (uint8_t *)PyBytes_AsString(made);
        for (Py_ssize_t at = 0; at < paired; at++)
            sha256_node(level + 2 * DIGEST_BYTES * at, level + 2 * DIGEST_BYTES * at + DIGEST_BYTES, parents + DIGEST_BYTES * at);
        if (above > paired * DIGEST_BYTES) memcpy(parents + DIGEST_BYTES * paired, level + size - DIGEST_BYTES, DIGEST_BYTES);
        int failed = PyList_Append(levels, made) < 0;
        Py_DECREF(made);
        if (failed) goto failed;
        level = parents, size = above;
    }
    return levels;
failed:
    Py_XDECREF(levels);
    return NULL;
}

PyMethodDef TREE_METHODS[] = {
    {"climb", FAST(climb), METH_FASTCALL, "climb(node, sides, siblings): the node above this one and its siblings."},
    {"hash_levels", hash_levels, METH_O, "hash_levels(leaves): each level of a tree, of joined hashes; the leaves first."},
    {NULL, NULL, 0, NULL},
};
