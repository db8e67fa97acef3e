/* What a verifier hashes of a bundle (docs/spec/4-bundle.md): documents that are leaves, statements, and the links of a
   chain one after the other. */
#include "args.h"

static const char STATEMENT[] = "carnet/1/statement\n", SIGNED[] = "carnet/1/signed\n", LINK[] = "carnet/1/link\n";
#define TAG_BYTES(tag) ((Py_ssize_t)sizeof(tag) - 1)
#define STATEMENT_BYTES 182
#define CHAIN_BYTES 16

/* A leaf of a tree from two parts of its bytes (RFC 9162, 2.1). */
static void hash_leaf(const void *first, Py_ssize_t first_size, const void *rest, Py_ssize_t rest_size, uint8_t *digest) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, "", 1);
    sha256_add(&hash, first, (size_t)first_size);
    sha256_add(&hash, rest, (size_t)rest_size);
    sha256_end(&hash, digest);
}

static PyObject *hash_document(PyObject *prefix, PyObject *encode, PyObject *document) {
    uint8_t digest[DIGEST_BYTES];
    Py_ssize_t size, prefix_size;
    const uint8_t *before = get_bytes(prefix, &prefix_size);
    PyObject *encoded = before ? PyObject_CallFunctionObjArgs(encode, document, NULL) : NULL;
    const uint8_t *data = encoded ? get_bytes(encoded, &size) : NULL;
    if (data) hash_leaf(before, prefix_size, data, size, digest);
    Py_XDECREF(encoded);
    return data ? make_digest(digest) : NULL;
}

static PyObject *hash_documents(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    (void)self;
    if (!check_count(count, 3)) return NULL;
    PyObject *documents = PySequence_Tuple(given[2]);
    PyObject *hashes = documents ? PyList_New(0) : NULL;
    for (Py_ssize_t at = 0; hashes && at < PyTuple_Size(documents); at++) {
        PyObject *hash = hash_document(given[0], given[1], PyTuple_GetItem(documents, at));
        if (!hash || PyList_Append(hashes, hash) < 0) Py_CLEAR(hashes);
        Py_XDECREF(hash);
    }
    Py_XDECREF(documents);
    return hashes;
}

static PyObject *split_statement(PyObject *self, PyObject *given) {
    uint8_t sid[DIGEST_BYTES], leaf[DIGEST_BYTES];
    Py_ssize_t size, digest = DIGEST_BYTES, id = CHAIN_BYTES;
    const uint8_t *data = get_bytes(given, &size);
    (void)self;
    if (!data) return NULL;
    if (size != STATEMENT_BYTES || memcmp(data, STATEMENT, (size_t)TAG_BYTES(STATEMENT))) Py_RETURN_NONE;
    sha256_of(data, (size_t)size, sid);
    hash_leaf(data, size, data, 0, leaf);
    const char *net = (const char *)data + TAG_BYTES(STATEMENT), *chain = net + digest, *member = chain + id;
    const char *key = member + id, *numbers = key + digest, *target = numbers + 3;
    return Py_BuildValue("(y#y#y#y#BBBy#y#)y#y#", net, digest, chain, id, member, id, key, digest, (uint8_t)numbers[0],
                         (uint8_t)numbers[1], (uint8_t)numbers[2], target, digest, target + digest, digest,
                         (const char *)sid, digest, (const char *)leaf, digest);
}

struct link {
    unsigned long epoch, mark;
    const uint8_t *sid, *target, *message, *signature;
    Py_ssize_t message_size, signature_size;
};

/* A number no greater than `most`; 0 and an error otherwise. */
static int read_number(PyObject *given, unsigned long most, unsigned long *number) {
    *number = PyLong_AsUnsignedLong(given);
    if (PyErr_Occurred()) return 0;
    if (*number <= most) return 1;
    PyErr_SetString(PyExc_ValueError, "a number of a link is too great");
    return 0;
}

static int read_link(PyObject *row, struct link *link) {
    if (!PyTuple_Check(row) || PyTuple_Size(row) != 6) {
        PyErr_SetString(PyExc_TypeError, "a link is (epoch, sid, mark, target, message, signature)");
        return 0;
    }
    if (!read_number(PyTuple_GetItem(row, 0), UINT32_MAX, &link->epoch)) return 0;
    if (!(link->sid = get_sized(PyTuple_GetItem(row, 1), DIGEST_BYTES, "a sid"))) return 0;
    if (!read_number(PyTuple_GetItem(row, 2), UINT8_MAX, &link->mark)) return 0;
    if (!(link->target = get_sized(PyTuple_GetItem(row, 3), DIGEST_BYTES, "a target"))) return 0;
    link->signature = NULL;
    if (PyTuple_GetItem(row, 5) == Py_None)
        return (link->message = get_sized(PyTuple_GetItem(row, 4), DIGEST_BYTES, "what is signed")) != NULL;
    if (!(link->message = get_bytes(PyTuple_GetItem(row, 4), &link->message_size))) return 0;
    return (link->signature = get_bytes(PyTuple_GetItem(row, 5), &link->signature_size)) != NULL;
}

/* The link at this place, as it stands in a batch (docs/spec/2-entries.md, 2.11): its id, and the hash of its leaf. */
static void hash_link(const struct link *link, const uint8_t *chain, uint64_t seq, const uint8_t *prev, uint8_t *id, uint8_t *leaf) {
    uint8_t data[171], *at = data, digest[DIGEST_BYTES];
    const uint8_t *bound = link->message;
    if (link->signature) {
        struct sha256 hash;
        sha256_begin(&hash);
        sha256_add(&hash, SIGNED, (size_t)TAG_BYTES(SIGNED));
        sha256_add(&hash, link->sid, DIGEST_BYTES);
        sha256_add(&hash, link->message, (size_t)link->message_size);
        sha256_add(&hash, link->signature, (size_t)link->signature_size);
        sha256_end(&hash, digest);
        bound = digest;
    }
    memcpy(at, LINK, (size_t)TAG_BYTES(LINK)), at += TAG_BYTES(LINK);
    memcpy(at, chain, CHAIN_BYTES), at += CHAIN_BYTES;
    write_u32(at, (uint32_t)(seq >> 32)), write_u32(at + 4, (uint32_t)seq), at += 8;
    write_u32(at, (uint32_t)link->epoch), at += 4;
    memcpy(at, prev, DIGEST_BYTES), at += DIGEST_BYTES;
    memcpy(at, link->sid, DIGEST_BYTES), at += DIGEST_BYTES;
    *at++ = (uint8_t)link->mark;
    memcpy(at, link->target, DIGEST_BYTES), at += DIGEST_BYTES;
    memcpy(at, bound, DIGEST_BYTES);
    sha256_of(data, sizeof data, id);
    hash_leaf(data, sizeof data, data, 0, leaf);
}

static int append_digest(PyObject *list, const uint8_t *digest) {
    PyObject *made = make_digest(digest);
    int failed = !made || PyList_Append(list, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

static PyObject *hash_links(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t id[DIGEST_BYTES] = {0}, leaf[DIGEST_BYTES];
    struct link link;
    (void)self;
    if (!check_count(count, 2)) return NULL;
    const uint8_t *chain = get_sized(given[0], CHAIN_BYTES, "a chain");
    if (!chain) return NULL;
    if (!PyList_Check(given[1])) {
        PyErr_SetString(PyExc_TypeError, "links stand in a list");
        return NULL;
    }
    PyObject *ids = PyList_New(0), *leaves = PyList_New(0);
    if (!ids || !leaves) goto failed;
    for (Py_ssize_t at = 0; at < PyList_Size(given[1]); at++) {
        if (!read_link(PyList_GetItem(given[1], at), &link)) goto failed;
        hash_link(&link, chain, (uint64_t)at, id, id, leaf);
        if (!append_digest(ids, id) || !append_digest(leaves, leaf)) goto failed;
    }
    return Py_BuildValue("NN", ids, leaves);
failed:
    Py_XDECREF(ids);
    Py_XDECREF(leaves);
    return NULL;
}

PyMethodDef PROOF_METHODS[] = {
    {"hash_documents", FAST(hash_documents), METH_FASTCALL,
     "hash_documents(prefix, encode, documents): the hash of each one's leaf, which is the prefix and what `encode` gives."},
    {"split_statement", split_statement, METH_O,
     "split_statement(data): (its nine parts, its sid, the hash of its leaf); None if it is no statement."},
    {"hash_links", FAST(hash_links), METH_FASTCALL,
     "hash_links(chain, links): (ids, hashes of leaves) of (epoch, sid, mark, target, message, signature), from the first"
     " one on; without a signature the message is what is signed."},
    {NULL, NULL, 0, NULL},
};
