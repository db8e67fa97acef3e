/* Fields under salted digests (docs/spec/2-entries.md, 2.1 and 2.2). */
#include "fields.h"

#include <stdio.h>

static const char FIELD[] = "carnet/1/field\n", FIELDS[] = "carnet/1/fields\n", EXPAND[] = "carnet/1/expand\n";
#define TAG_BYTES(tag) (sizeof(tag) - 1)

/* Bytes of a value that is written here; longer texts are few. */
#define MAX_SCALAR 256

int check_sealable(Py_ssize_t fields) {
    if (fields <= MAX_FIELDS) return 1;
    PyErr_Format(PyExc_ValueError, "%zd fields: no kind has more than %d", fields, MAX_FIELDS);
    return 0;
}

void expand_secret(const uint8_t secret[SECRET_BYTES], Py_ssize_t fields, uint8_t *stream) {
    shake256(EXPAND, TAG_BYTES(EXPAND), secret, SECRET_BYTES, stream, (size_t)STREAM_BYTES(fields));
}

void expand_secrets(const uint8_t *const *secrets, size_t count, size_t fields, uint8_t *const *streams) {
    const uint8_t *each[SHAKE_LANES];
    uint8_t *outs[SHAKE_LANES];
    if (count == 1) {
        expand_secret(secrets[0], (Py_ssize_t)fields, streams[0]);
        return;
    }
    /* A lane that is left over does the last one's work again. */
    for (size_t at = 0; at < SHAKE_LANES; at++)
        each[at] = secrets[at < count ? at : count - 1], outs[at] = streams[at < count ? at : count - 1];
    shake256_lanes(EXPAND, TAG_BYTES(EXPAND), each, outs, STREAM_BYTES(fields));
}

_Static_assert(FIELD_TAG_BYTES == TAG_BYTES(FIELD) && ROOT_FRAME_BYTES == TAG_BYTES(FIELDS) + 4, "as in the format");

uint8_t *write_field_tag(uint8_t *to) { return (uint8_t *)memcpy(to, FIELD, FIELD_TAG_BYTES) + FIELD_TAG_BYTES; }

uint8_t *write_root_frame(uint8_t *to, size_t fields) {
    memcpy(to, FIELDS, TAG_BYTES(FIELDS));
    write_u32(to + TAG_BYTES(FIELDS), (uint32_t)fields);
    return to + ROOT_FRAME_BYTES;
}

void hash_field(const uint8_t salt[SALT_BYTES], PyObject *name, const uint8_t *value, Py_ssize_t size, uint8_t *digest) {
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, FIELD, TAG_BYTES(FIELD));
    sha256_add(&hash, salt, SALT_BYTES);
    sha256_add(&hash, PyBytes_AsString(name), (size_t)PyBytes_Size(name));
    sha256_add(&hash, value, (size_t)size);
    sha256_end(&hash, digest);
}

void begin_root(struct sha256 *root, Py_ssize_t fields) {
    uint8_t number[4];
    sha256_begin(root);
    sha256_add(root, FIELDS, TAG_BYTES(FIELDS));
    write_u32(number, (uint32_t)fields);
    sha256_add(root, number, sizeof number);
}

void add_to_root(struct sha256 *root, PyObject *name, const uint8_t digest[DIGEST_BYTES]) {
    sha256_add(root, PyBytes_AsString(name), (size_t)PyBytes_Size(name));
    sha256_add(root, digest, DIGEST_BYTES);
}

int check_names(PyObject *names) {
    if (!PyTuple_Check(names)) {
        PyErr_SetString(PyExc_TypeError, "names stand in a tuple");
        return 0;
    }
    Py_ssize_t count = PyTuple_Size(names);
    for (Py_ssize_t at = 0; at < count; at++)
        if (!PyBytes_Check(PyTuple_GetItem(names, at))) {
            PyErr_SetString(PyExc_TypeError, "a name is bytes");
            return 0;
        }
    return 1;
}

/* Names, and as many things beside them; 0 and an error otherwise. */
static int check_fields(PyObject *names, PyObject *others) {
    if (!check_names(names)) return 0;
    if (get_length(others) == PyTuple_Size(names)) return 1;
    PyErr_Format(PyExc_ValueError, "%zd names and %zd values", PyTuple_Size(names), get_length(others));
    return 0;
}

static PyObject *seal_fields(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t stream[STREAM_BYTES(MAX_FIELDS)], digest[DIGEST_BYTES];
    const uint8_t *secret;
    PyObject *values;
    struct sha256 root;
    (void)self;
    if (!check_count(count, 3)) return NULL;
    if (!(secret = get_sized(given[2], SECRET_BYTES, "a secret"))) return NULL;
    if (!(values = get_sequence(given[1]))) return NULL;
    if (!check_fields(given[0], values)) goto failed;
    Py_ssize_t fields = get_length(values);
    if (!check_sealable(fields)) goto failed;
    expand_secret(secret, fields, stream);
    begin_root(&root, fields);
    for (Py_ssize_t at = 0; at < fields; at++) {
        PyObject *name = PyTuple_GetItem(given[0], at);
        Py_ssize_t size;
        const uint8_t *value = get_bytes(get_item(values, at), &size);
        if (!value) goto failed;
        hash_field(stream + SECRET_BYTES + SALT_BYTES * at, name, value, size, digest);
        add_to_root(&root, name, digest);
    }
    sha256_end(&root, digest);
    Py_DECREF(values);
    return Py_BuildValue("y#y#", (const char *)stream, (Py_ssize_t)SECRET_BYTES, (const char *)digest, (Py_ssize_t)DIGEST_BYTES);
failed:
    Py_DECREF(values);
    return NULL;
}

static PyObject *hash_fields(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t digest[DIGEST_BYTES];
    PyObject *shown;
    struct sha256 root;
    (void)self;
    if (!check_count(count, 2)) return NULL;
    if (!(shown = get_sequence(given[1]))) return NULL;
    if (!check_fields(given[0], shown)) goto failed;
    Py_ssize_t fields = get_length(shown);
    begin_root(&root, fields);
    for (Py_ssize_t at = 0; at < fields; at++) {
        PyObject *name = PyTuple_GetItem(given[0], at), *one = get_item(shown, at);
        const uint8_t *known;
        if (PyTuple_Check(one) && PyTuple_Size(one) == 2) {
            Py_ssize_t size;
            const uint8_t *salt = get_sized(PyTuple_GetItem(one, 0), SALT_BYTES, "a salt");
            const uint8_t *value = salt ? get_bytes(PyTuple_GetItem(one, 1), &size) : NULL;
            if (!value) goto failed;
            hash_field(salt, name, value, size, digest);
            known = digest;
        } else if (!(known = get_sized(one, DIGEST_BYTES, "a field digest"))) {
            goto failed;
        }
        add_to_root(&root, name, known);
    }
    sha256_end(&root, digest);
    Py_DECREF(shown);
    return make_digest(digest);
failed:
    Py_DECREF(shown);
    return NULL;
}

/* A text within quotes, if nothing in it is escaped; 0 where the encoder has to write it. */
static Py_ssize_t quote_text(PyObject *value, uint8_t *out) {
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (!text) PyErr_Clear();
    if (!text || size > MAX_SCALAR - 2) return 0;
    for (Py_ssize_t at = 0; at < size; at++) {
        if ((uint8_t)text[at] < ' ' || text[at] == '"' || text[at] == '\\' || text[at] == 0x7f) return 0;
        out[at + 1] = (uint8_t)text[at];
    }
    out[0] = out[size + 1] = '"';
    return size + 2;
}

/* The canonical bytes of what has no parts, which need no call of the encoder; 0 where it has to write them. */
static Py_ssize_t write_scalar(PyObject *value, uint8_t out[MAX_SCALAR]) {
    if (Py_IS_TYPE(value, &PyUnicode_Type)) return quote_text(value, out);
    const char *word = value == Py_None ? "null" : value == Py_True ? "true" : value == Py_False ? "false" : NULL;
    if (word) return (Py_ssize_t)strlen(strcpy((char *)out, word));
    if (!Py_IS_TYPE(value, &PyLong_Type)) return 0;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow ? 0 : snprintf((char *)out, MAX_SCALAR, "%lld", number);
}

/* The canonical value of a field, in `scalar` or for as long as `encoded` is held; NULL and an error where there is none. */
static const uint8_t *encode_value(PyObject *encode, PyObject *value, uint8_t *scalar, PyObject **encoded, Py_ssize_t *size) {
    if ((*size = write_scalar(value, scalar))) return scalar;
    *encoded = PyObject_CallFunctionObjArgs(encode, value, NULL);
    return *encoded ? get_bytes(*encoded, size) : NULL;
}

/* One field of a bundle: its digest, and its value among `odd` if it is an object or a list that is not plain. */
static int hash_one_shown(PyObject *name, PyObject *one, PyObject *encode, long depth, PyObject *odd, uint8_t *digest) {
    if (!PyTuple_Check(one) || PyTuple_Size(one) != 2) {
        const uint8_t *known = get_sized(one, DIGEST_BYTES, "a field digest");
        if (known) memcpy(digest, known, DIGEST_BYTES);
        return known != NULL;
    }
    PyObject *value = PyTuple_GetItem(one, 1), *encoded = NULL;
    uint8_t scalar[MAX_SCALAR];
    Py_ssize_t size;
    const uint8_t *salt = get_sized(PyTuple_GetItem(one, 0), SALT_BYTES, "a salt");
    const uint8_t *data = salt ? encode_value(encode, value, scalar, &encoded, &size) : NULL;
    if (data) hash_field(salt, name, data, size, digest);
    Py_XDECREF(encoded);
    if (!data) return 0;
    if (!(PyDict_Check(value) || PyList_Check(value)) || is_plain_value(value, depth)) return 1;
    return PyList_Append(odd, value) == 0;
}

static PyObject *hash_shown(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t digest[DIGEST_BYTES];
    struct sha256 root;
    (void)self;
    if (!check_count(count, 4)) return NULL;
    long depth = PyLong_AsLong(given[3]);
    if (depth == -1 && PyErr_Occurred()) return NULL;
    PyObject *shown = get_sequence(given[1]), *odd = shown ? PyList_New(0) : NULL;
    if (!odd || !check_fields(given[0], shown)) goto failed;
    Py_ssize_t fields = get_length(shown);
    begin_root(&root, fields);
    for (Py_ssize_t at = 0; at < fields; at++) {
        PyObject *name = PyTuple_GetItem(given[0], at);
        if (!hash_one_shown(name, get_item(shown, at), given[2], depth, odd, digest)) goto failed;
        add_to_root(&root, name, digest);
    }
    sha256_end(&root, digest);
    Py_DECREF(shown);
    return Py_BuildValue("y#N", (const char *)digest, (Py_ssize_t)DIGEST_BYTES, odd);
failed:
    Py_XDECREF(shown);
    Py_XDECREF(odd);
    return NULL;
}

PyMethodDef FIELD_METHODS[] = {
    {"seal_fields", FAST(seal_fields), METH_FASTCALL, "seal_fields(names, values, secret): (content key, fields_root)."},
    {"hash_fields", FAST(hash_fields), METH_FASTCALL,
     "hash_fields(names, shown): fields_root of fields of which each is a digest, or (salt, canonical value)."},
    {"hash_shown", FAST(hash_shown), METH_FASTCALL,
     "hash_shown(names, shown, encode, depth): fields_root of fields of which each is a digest, or (salt, value), and the"
     " objects and lists among the values that are not plain at this depth."},
    {NULL, NULL, 0, NULL},
};
