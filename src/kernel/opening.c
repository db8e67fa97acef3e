/* A statement and its fields from its contents as they are kept: what statements.c makes, the other way round, with the
   fields as a bundle shows them (docs/spec/4-bundle.md, 4.5). That the statement has its id is what tells that each of
   its values is the one that its author signed. Whatever does not give that id gives None: Python's own function then
   says what is wrong. */
#include "fields.h"
#include "json.h"

#define HEAD_BYTES 118 /* a statement up to its mark */
#define TARGET_BYTES 32
#define STATEMENT_BYTES (HEAD_BYTES + TARGET_BYTES + DIGEST_BYTES)
#define SALT_CHARS 24
/* What stands around a shown value beside its name, and what a moment's names and an absent value add. */
#define FRAME_BYTES (SALT_CHARS + 64)

struct opening {
    struct span left; /* contents that are not read yet */
    struct span kind, subject;
    int has_left, found; /* whether another line begins there; which of the three names have been met */
    uint8_t *written;
};

enum { KIND = 1, OCCURRED = 2, SUBJECT = 4, ALL = 7 };

static uint8_t *write_text(uint8_t *to, const char *text) { return write_span(to, (struct span){(const uint8_t *)text, strlen(text)}); }

static uint8_t *write_salt(uint8_t *to, const uint8_t *salt) {
    static const char CHARS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int at = 0; at < SALT_BYTES - 1; at += 3, salt += 3) {
        *to++ = (uint8_t)CHARS[salt[0] >> 2];
        *to++ = (uint8_t)CHARS[(salt[0] & 3) << 4 | salt[1] >> 4];
        *to++ = (uint8_t)CHARS[(salt[1] & 15) << 2 | salt[2] >> 6];
        *to++ = (uint8_t)CHARS[salt[2] & 63];
    }
    *to++ = (uint8_t)CHARS[salt[0] >> 2];
    *to++ = (uint8_t)CHARS[(salt[0] & 3) << 4];
    return write_text(to, "==");
}

static int take_line(struct opening *opening, struct span *line) {
    if (!opening->has_left) return 0;
    const uint8_t *end = opening->left.size ? memchr(opening->left.at, '\n', opening->left.size) : NULL;
    line->at = opening->left.at;
    line->size = end ? (size_t)(end - line->at) : opening->left.size;
    opening->has_left = end != NULL;
    if (end) opening->left = (struct span){end + 1, opening->left.size - line->size - 1};
    return 1;
}

/* A moment from its values; 0 where they are not three. */
static int write_moment(struct opening *opening, struct span line) {
    static const char *const NAMES[3] = {"{\"at\":", ",\"precision\":", ",\"zone\":"};
    struct json json = {line.at, line.at + line.size};
    struct span value;
    for (int at = 0; at < 3; at++) {
        if (!take(&json, at ? ',' : '[') || !take_value(&json, &value)) return 0;
        opening->written = write_span(write_text(opening->written, NAMES[at]), value);
    }
    opening->written = write_text(opening->written, "}");
    return take(&json, ']') && json.at == json.end;
}

/* The value of this name; 0 where the contents have none. */
static int write_value(struct opening *opening, struct span name) {
    int which = is_text(name, "kind") ? KIND : is_text(name, "occurred") ? OCCURRED : is_text(name, "subject") ? SUBJECT : 0;
    struct span value = opening->kind;
    /* There is room for one of each. */
    if (opening->found & which) return 0;
    opening->found |= which;
    /* A null is left out, never written. */
    if (which != KIND && (!take_line(opening, &value) || is_text(value, "null"))) return 0;
    if (which == OCCURRED) return write_moment(opening, value);
    if (which == SUBJECT) {
        if (value.size) opening->subject = value;
        value = opening->subject;
    }
    opening->written = value.size ? write_span(opening->written, value) : write_text(opening->written, "null");
    return 1;
}

/* The root of all fields, which are written one after the other; 0 where the contents are not those of these names. */
static int open_values(struct opening *opening, PyObject *names, const uint8_t *salts, uint8_t *digest) {
    Py_ssize_t count = PyTuple_Size(names);
    struct sha256 root;
    begin_root(&root, count);
    for (Py_ssize_t at = 0; at < count; at++, salts += SALT_BYTES) {
        PyObject *framed = PyTuple_GetItem(names, at);
        if (PyBytes_Size(framed) < 4) return 0;
        struct span name = {(const uint8_t *)PyBytes_AsString(framed) + 4, (size_t)PyBytes_Size(framed) - 4};
        opening->written = write_text(opening->written, at ? ",\"" : "{\"");
        opening->written = write_text(write_span(opening->written, name), "\":[\"");
        opening->written = write_text(write_salt(opening->written, salts), "\",");
        const uint8_t *value = opening->written;
        if (!write_value(opening, name)) return 0;
        hash_field(salts, framed, value, opening->written - value, digest);
        add_to_root(&root, framed, digest);
        opening->written = write_text(opening->written, "]");
    }
    opening->written = write_text(opening->written, "}");
    sha256_end(&root, digest);
    return opening->found == ALL && !opening->has_left;
}

static size_t measure_names(PyObject *names) {
    size_t size = 0;
    for (Py_ssize_t at = 0; at < PyTuple_Size(names); at++) size += (size_t)PyBytes_Size(PyTuple_GetItem(names, at)) + FRAME_BYTES;
    return size;
}

static PyObject *make_answer(struct opening *opening, const uint8_t *shown, const uint8_t *statement, const uint8_t *sid) {
    uint8_t digest[DIGEST_BYTES];
    sha256_of(statement, STATEMENT_BYTES, digest);
    if (memcmp(digest, sid, DIGEST_BYTES)) Py_RETURN_NONE;
    return Py_BuildValue("y#y#y#", (const char *)statement, (Py_ssize_t)STATEMENT_BYTES, (const char *)shown,
                         (Py_ssize_t)(opening->written - shown), (const char *)opening->subject.at,
                         (Py_ssize_t)opening->subject.size);
}

static int get_span(PyObject *given, struct span *span) {
    Py_ssize_t size;
    if (!(span->at = get_bytes(given, &size))) return 0;
    span->size = (size_t)size;
    return 1;
}

static PyObject *open_statement(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t statement[STATEMENT_BYTES], small[4096];
    const uint8_t *stream, *head, *target, *sid;
    struct opening opening = {0};
    (void)self;
    if (!check_count(count, 8) || !check_names(given[0]) || !check_sealable(PyTuple_Size(given[0]))) return NULL;
    if (!get_span(given[1], &opening.left)) return NULL;
    if (!(stream = get_sized(given[2], STREAM_BYTES(PyTuple_Size(given[0])), "a stream"))) return NULL;
    if (!(head = get_sized(given[3], HEAD_BYTES, "the head of a statement"))) return NULL;
    if (!(target = get_sized(given[4], TARGET_BYTES, "a target"))) return NULL;
    if (!get_span(given[5], &opening.kind) || !get_span(given[6], &opening.subject)) return NULL;
    if (!(sid = get_sized(given[7], DIGEST_BYTES, "a statement's id"))) return NULL;
    /* Of the kind, the subject and the contents each part is written once. */
    size_t most = measure_names(given[0]) + opening.left.size + opening.kind.size + opening.subject.size + FRAME_BYTES;
    uint8_t *shown = most <= sizeof small ? small : PyMem_Malloc(most);
    if (!shown) return PyErr_NoMemory();
    memcpy(statement, head, HEAD_BYTES);
    memcpy(statement + HEAD_BYTES, target, TARGET_BYTES);
    opening.has_left = 1;
    opening.written = shown;
    PyObject *answer = NULL;
    if (open_values(&opening, given[0], stream + SECRET_BYTES, statement + HEAD_BYTES + TARGET_BYTES))
        answer = make_answer(&opening, shown, statement, sid);
    else
        answer = Py_NewRef(Py_None);
    if (shown != small) PyMem_Free(shown);
    return answer;
}

PyMethodDef OPENING_METHODS[] = {
    {"open_statement", FAST(open_statement), METH_FASTCALL,
     "open_statement(names, contents, stream, head, target, kind, subject, sid): (statement, shown fields, subject), or None."},
    {NULL, NULL, 0, NULL},
};
