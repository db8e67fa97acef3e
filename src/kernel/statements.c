/* A whole statement from the canonical bytes of its fields (docs/spec/2-entries.md, 2.1 to 2.6), with its contents as
   they are kept: the values one a line, without the kind, nulls, a passport's own subject and the names in `occurred`. */
#include "fields.h"
#include "json.h"

#define HEAD_BYTES 118 /* a statement up to its mark */
#define TARGET_BYTES 32
#define STATEMENT_BYTES (HEAD_BYTES + TARGET_BYTES + DIGEST_BYTES)

/* A moment's values without their names; 0 where it is no moment. */
static uint8_t *write_moment(uint8_t *to, struct span moment) {
    static const char *const NAMES[3] = {"at", "precision", "zone"};
    struct json json = {moment.at, moment.at + moment.size};
    struct span name, value;
    for (int at = 0; at < 3; at++) {
        if (!take_member(&json, at, &name, &value) || !is_text(name, NAMES[at])) return NULL;
        *to++ = at ? ',' : '[';
        to = write_span(to, value);
    }
    *to++ = ']';
    return take(&json, '}') && json.at == json.end ? to : NULL;
}

struct sealing {
    struct span subject;        /* the passport's own */
    struct span other;          /* this statement's, where it is another one */
    uint8_t *content, *written; /* as large as the fields, and how far it is filled */
};

/* One value of the contents; 0 where it is not what it should be. */
static int write_value(struct sealing *sealing, struct span name, struct span value, int is_first) {
    if (!is_first) *sealing->written++ = '\n';
    if (is_text(name, "occurred")) return (sealing->written = write_moment(sealing->written, value)) != NULL;
    if (is_text(name, "subject")) {
        if (value.size == sealing->subject.size && !memcmp(value.at, sealing->subject.at, value.size)) return 1;
        sealing->other = value;
    }
    if (!is_text(value, "null")) sealing->written = write_span(sealing->written, value);
    return 1;
}

/* The root of all fields, and their contents beside it; 0 where they are not those that the names say. */
static int seal_values(struct sealing *sealing, PyObject *names, struct json json, const uint8_t *salts, uint8_t *digest) {
    Py_ssize_t count = PyTuple_Size(names);
    struct span name, value;
    struct sha256 root;
    int is_first = 1;
    begin_root(&root, count);
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *framed = PyTuple_GetItem(names, at);
        const char *wanted = PyBytes_AsString(framed);
        if (!take_member(&json, at, &name, &value)) return 0;
        if ((size_t)PyBytes_Size(framed) != name.size + 4 || memcmp(wanted + 4, name.at, name.size)) return 0;
        hash_field(salts + SALT_BYTES * at, framed, value.at, (Py_ssize_t)value.size, digest);
        add_to_root(&root, framed, digest);
        if (is_text(name, "kind")) continue;
        if (!write_value(sealing, name, value, is_first)) return 0;
        is_first = 0;
    }
    sha256_end(&root, digest);
    return count && take(&json, '}') && json.at == json.end;
}

static PyObject *make_answer(struct sealing *sealing, const uint8_t *key, const uint8_t *statement) {
    static const uint8_t LEAF = 0;
    uint8_t sid[DIGEST_BYTES], leaf[DIGEST_BYTES];
    struct sha256 hash;
    sha256_of(statement, STATEMENT_BYTES, sid);
    sha256_begin(&hash);
    sha256_add(&hash, &LEAF, 1);
    sha256_add(&hash, statement, STATEMENT_BYTES);
    sha256_end(&hash, leaf);
    return Py_BuildValue("y#y#y#y#y#", (const char *)key, (Py_ssize_t)SECRET_BYTES, (const char *)sid,
                         (Py_ssize_t)DIGEST_BYTES, (const char *)leaf, (Py_ssize_t)DIGEST_BYTES,
                         (const char *)sealing->content, (Py_ssize_t)(sealing->written - sealing->content),
                         (const char *)sealing->other.at, (Py_ssize_t)sealing->other.size);
}

static PyObject *seal_statement(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t stream[STREAM_BYTES(MAX_FIELDS)], statement[STATEMENT_BYTES], small[1024];
    const uint8_t *fields, *secret, *head, *target;
    Py_ssize_t size, subject_size;
    struct sealing sealing = {0};
    (void)self;
    if (!check_count(count, 6) || !check_names(given[0]) || !check_sealable(PyTuple_Size(given[0]))) return NULL;
    if (!(fields = get_bytes(given[1], &size))) return NULL;
    if (!(secret = get_sized(given[2], SECRET_BYTES, "a secret"))) return NULL;
    if (!(head = get_sized(given[3], HEAD_BYTES, "the head of a statement"))) return NULL;
    if (!(target = get_sized(given[4], TARGET_BYTES, "a target"))) return NULL;
    if (!(sealing.subject.at = get_bytes(given[5], &subject_size))) return NULL;
    sealing.subject.size = (size_t)subject_size;
    /* What is kept of each field is shorter than the field. */
    sealing.content = (size_t)size <= sizeof small ? small : PyMem_Malloc((size_t)size);
    if (!sealing.content) return PyErr_NoMemory();
    sealing.written = sealing.content;
    memcpy(statement, head, HEAD_BYTES);
    memcpy(statement + HEAD_BYTES, target, TARGET_BYTES);
    expand_secret(secret, PyTuple_Size(given[0]), stream);
    struct json json = {fields, fields + size};
    PyObject *answer = NULL;
    if (seal_values(&sealing, given[0], json, stream + SECRET_BYTES, statement + HEAD_BYTES + TARGET_BYTES))
        answer = make_answer(&sealing, stream, statement);
    else
        PyErr_SetString(PyExc_ValueError, "these fields are not those of their kind, in canonical JSON");
    if (sealing.content != small) PyMem_Free(sealing.content);
    return answer;
}

PyMethodDef STATEMENT_METHODS[] = {
    {"seal_statement", FAST(seal_statement), METH_FASTCALL,
     "seal_statement(names, fields, secret, head, target, subject): (content key, sid, leaf, contents, other subject or None)."},
    {NULL, NULL, 0, NULL},
};
