/* Whole statements from the canonical bytes of their fields (docs/spec/2-entries.md, 2.1 to 2.6), with their contents
   as they are kept: the values one a line, without the kind, nulls, a passport's own subject and the names in
   `occurred`. Some of a kind are sealed at once, since their hashes need not wait for each other. */
#include "fields.h"

#define FRONT_BYTES 51 /* a statement up to its chain */
#define CHAIN_BYTES 16
#define MIDDLE_BYTES 49 /* from there to its class */
#define TAIL_BYTES 2    /* class and mark */
#define TARGET_BYTES 32
#define STATEMENT_BYTES (FRONT_BYTES + CHAIN_BYTES + MIDDLE_BYTES + TAIL_BYTES + TARGET_BYTES + DIGEST_BYTES)

#define TOGETHER SHAKE_LANES /* statements that are sealed at once */
#define MAX_WAITING 64       /* messages that are hashed at once */

enum { NAMES, FIELDS, SECRETS, CHAINS, TAILS, TARGETS, SUBJECTS, COLUMNS };
enum { KEYS, SIDS, CONTENTS, OTHERS, LISTS };

/* What is the same for all statements of a kind. */
struct kind {
    PyObject *names;
    size_t count, size; /* of the names, and of all their bytes */
    struct span framed[MAX_FIELDS];
};

struct sealing {
    struct span fields;
    const uint8_t *secret;
    struct span subject;        /* the passport's own */
    struct span other;          /* this statement's, where it is another one */
    uint8_t *stream;            /* what the secret expands to */
    uint8_t *content, *written; /* as large as the fields, and how far it is filled */
    uint8_t *root;              /* the message of the root: names, each with the digest of its field */
    uint8_t *messages;          /* those of the fields */
    uint8_t leaf[1 + STATEMENT_BYTES + MOST_PADDING], statement[STATEMENT_BYTES + MOST_PADDING], sid[DIGEST_BYTES];
};

struct waiting {
    struct padded messages[MAX_WAITING];
    size_t count;
};

static void hash_waiting(struct waiting *waiting) {
    sha256_all(waiting->messages, waiting->count);
    waiting->count = 0;
}

/* The message lies where there is room for its padding, and stays there until it is hashed. */
static void hash_later(struct waiting *waiting, uint8_t *message, size_t size, uint8_t *digest) {
    if (waiting->count == MAX_WAITING) hash_waiting(waiting);
    waiting->messages[waiting->count++] = (struct padded){message, sha256_pad(message, size), digest};
}

/* A moment's values without their names; 0 where it is no moment. */
static uint8_t *write_moment(uint8_t *to, struct span moment) {
    static const char *const MEMBERS[3] = {"at", "precision", "zone"};
    struct json json = {moment.at, moment.at + moment.size};
    struct span name, value;
    for (int at = 0; at < 3; at++) {
        if (!take_member(&json, at, &name, &value) || !is_text(name, MEMBERS[at])) return NULL;
        *to++ = at ? ',' : '[';
        to = write_span(to, value);
    }
    *to++ = ']';
    return take(&json, '}') && json.at == json.end ? to : NULL;
}

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

/* The messages of all fields, and the contents; 0 where the fields are not those that the kind says. */
static int take_fields(struct sealing *sealing, const struct kind *kind, struct waiting *waiting) {
    struct json json = {sealing->fields.at, sealing->fields.at + sealing->fields.size};
    struct span name, value, salt = {sealing->stream + SECRET_BYTES, SALT_BYTES};
    uint8_t *message = sealing->messages, *root = write_root_frame(sealing->root, kind->count);
    int is_first = 1;
    for (size_t at = 0; at < kind->count; at++, salt.at += SALT_BYTES) {
        struct span framed = kind->framed[at];
        if (!take_member(&json, (Py_ssize_t)at, &name, &value)) return 0;
        if (framed.size != name.size + 4 || memcmp(framed.at + 4, name.at, name.size)) return 0;
        uint8_t *end = write_span(write_span(write_span(write_field_tag(message), salt), framed), value);
        root = write_span(root, framed);
        hash_later(waiting, message, (size_t)(end - message), root);
        message = end + MOST_PADDING, root += DIGEST_BYTES;
        if (is_text(name, "kind")) continue;
        if (!write_value(sealing, name, value, is_first)) return 0;
        is_first = 0;
    }
    return kind->count && take(&json, '}') && json.at == json.end;
}

/* How many bytes a statement's messages and contents take; they are given their places if there is room. */
static size_t lay_out(struct sealing *sealing, const struct kind *kind, uint8_t *room) {
    size_t stream = STREAM_BYTES(kind->count), content = sealing->fields.size;
    size_t root = ROOT_FRAME_BYTES + kind->size + kind->count * DIGEST_BYTES + MOST_PADDING;
    size_t messages = kind->count * (FIELD_TAG_BYTES + SALT_BYTES + MOST_PADDING) + kind->size + sealing->fields.size;
    if (room) {
        sealing->stream = room, room += stream;
        sealing->content = sealing->written = room, room += content;
        sealing->root = room, room += root;
        sealing->messages = room;
    }
    return stream + content + root + messages;
}

/* The hashes of statements of a kind whose parts are there, with their leaves; 0 where fields are not those of it. */
static int seal(struct sealing *some, size_t count, const struct kind *kind, uint8_t *leaves) {
    struct waiting waiting;
    waiting.count = 0;
    const uint8_t *secrets[TOGETHER];
    uint8_t *streams[TOGETHER];
    for (size_t at = 0; at < count; at++) secrets[at] = some[at].secret, streams[at] = some[at].stream;
    expand_secrets(secrets, count, kind->count, streams);
    for (struct sealing *one = some; one < some + count; one++)
        if (!take_fields(one, kind, &waiting)) return 0;
    hash_waiting(&waiting);
    size_t root = ROOT_FRAME_BYTES + kind->size + kind->count * DIGEST_BYTES;
    for (struct sealing *one = some; one < some + count; one++)
        hash_later(&waiting, one->root, root, one->statement + STATEMENT_BYTES - DIGEST_BYTES);
    hash_waiting(&waiting);
    for (struct sealing *one = some; one < some + count; one++, leaves += DIGEST_BYTES) {
        one->leaf[0] = 0;
        memcpy(one->leaf + 1, one->statement, STATEMENT_BYTES);
        hash_later(&waiting, one->statement, STATEMENT_BYTES, one->sid);
        hash_later(&waiting, one->leaf, 1 + STATEMENT_BYTES, leaves);
    }
    hash_waiting(&waiting);
    return 1;
}

/* A kind by its names; 0 and an error where they are none. */
static int take_kind(struct kind *kind, PyObject *names) {
    if (!check_names(names) || !check_sealable(PyTuple_Size(names))) return 0;
    kind->names = names, kind->count = (size_t)PyTuple_Size(names), kind->size = 0;
    for (size_t at = 0; at < kind->count; at++) {
        Py_ssize_t size;
        const uint8_t *name = get_bytes(PyTuple_GetItem(names, (Py_ssize_t)at), &size);
        kind->framed[at] = (struct span){name, (size_t)size};
        kind->size += (size_t)size;
    }
    return 1;
}

static int set_bytes(PyObject *list, Py_ssize_t at, const uint8_t *data, size_t size) {
    PyObject *made = data ? PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size) : Py_NewRef(Py_None);
    return made && PyList_SetItem(list, at, made) == 0;
}

static int give(const struct sealing *one, PyObject *const *lists, Py_ssize_t at) {
    return set_bytes(lists[KEYS], at, one->stream, SECRET_BYTES) && set_bytes(lists[SIDS], at, one->sid, DIGEST_BYTES) &&
           set_bytes(lists[CONTENTS], at, one->content, (size_t)(one->written - one->content)) &&
           set_bytes(lists[OTHERS], at, one->other.at, one->other.size);
}

struct call {
    PyObject *const *columns, *const *lists;
    const uint8_t *front, *middle;
    uint8_t *leaves, *room;
    size_t size; /* of the room */
    struct kind kind;
};

/* The parts of one statement; 0 and an error where they are none. */
static int take_parts(struct sealing *sealing, const struct call *call, Py_ssize_t at) {
    PyObject *const *columns = call->columns;
    const uint8_t *chain, *tail, *target;
    Py_ssize_t size;
    memset(&sealing->other, 0, sizeof sealing->other);
    if (!(sealing->fields.at = get_bytes(get_item(columns[FIELDS], at), &size))) return 0;
    sealing->fields.size = (size_t)size;
    if (!(sealing->secret = get_sized(get_item(columns[SECRETS], at), SECRET_BYTES, "a secret"))) return 0;
    if (!(chain = get_sized(get_item(columns[CHAINS], at), CHAIN_BYTES, "a chain's id"))) return 0;
    if (!(tail = get_sized(get_item(columns[TAILS], at), TAIL_BYTES, "class and mark"))) return 0;
    if (!(target = get_sized(get_item(columns[TARGETS], at), TARGET_BYTES, "a target"))) return 0;
    if (!(sealing->subject.at = get_bytes(get_item(columns[SUBJECTS], at), &size))) return 0;
    sealing->subject.size = (size_t)size;
    const struct span parts[] = {
        {call->front, FRONT_BYTES}, {chain, CHAIN_BYTES}, {call->middle, MIDDLE_BYTES}, {tail, TAIL_BYTES}, {target, TARGET_BYTES},
    };
    uint8_t *to = sealing->statement;
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) to = write_span(to, parts[part]);
    return 1;
}

/* Seals those from here on that are of one kind, so many at most; how many it were, or 0 and an error. */
static Py_ssize_t seal_some(struct call *call, Py_ssize_t first, Py_ssize_t most) {
    struct sealing some[TOGETHER];
    PyObject *names = get_item(call->columns[NAMES], first);
    size_t count = 0, size = 0;
    if (names != call->kind.names && !take_kind(&call->kind, names)) return 0;
    for (; count < TOGETHER && (Py_ssize_t)count < most; count++) {
        if (get_item(call->columns[NAMES], first + (Py_ssize_t)count) != names) break;
        if (!take_parts(&some[count], call, first + (Py_ssize_t)count)) return 0;
        size += lay_out(&some[count], &call->kind, NULL);
    }
    if (size > call->size) {
        PyMem_Free(call->room);
        if (!(call->room = PyMem_Malloc(size))) return PyErr_NoMemory(), 0;
        call->size = size;
    }
    uint8_t *room = call->room;
    for (size_t at = 0; at < count; at++) room += lay_out(&some[at], &call->kind, room);
    if (!seal(some, count, &call->kind, call->leaves + DIGEST_BYTES * first)) {
        PyErr_SetString(PyExc_ValueError, "these fields are not those of their kind, in canonical JSON");
        return 0;
    }
    for (size_t at = 0; at < count; at++)
        if (!give(&some[at], call->lists, first + (Py_ssize_t)at)) return 0;
    return (Py_ssize_t)count;
}

/* As many in each column, in a list or a tuple; -1 and an error otherwise. */
static Py_ssize_t count_rows(PyObject *const *columns) {
    for (int at = 0; at < COLUMNS; at++) {
        if (!is_sequence(columns[at])) {
            PyErr_SetString(PyExc_TypeError, "statements stand in lists or tuples");
            return -1;
        }
        if (get_length(columns[at]) != get_length(columns[0])) {
            PyErr_SetString(PyExc_ValueError, "as many of each part as there are statements");
            return -1;
        }
    }
    return get_length(columns[0]);
}

static PyObject *seal_statements(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct call *call = NULL;
    PyObject *lists[LISTS] = {NULL}, *leaves = NULL, *answer = NULL;
    const uint8_t *front, *middle;
    (void)self;
    if (!check_count(count, 2 + COLUMNS)) return NULL;
    if (!(front = get_sized(given[0], FRONT_BYTES, "a statement up to its chain"))) return NULL;
    if (!(middle = get_sized(given[1], MIDDLE_BYTES, "author and basis"))) return NULL;
    Py_ssize_t rows = count_rows(given + 2);
    if (rows < 0) return NULL;
    for (int at = 0; at < LISTS; at++)
        if (!(lists[at] = PyList_New(rows))) goto done;
    if (!(leaves = PyBytes_FromStringAndSize(NULL, DIGEST_BYTES * rows))) goto done;
    if (!(call = PyMem_Malloc(sizeof *call))) {
        PyErr_NoMemory();
        goto done;
    }
    call->columns = given + 2, call->lists = lists, call->front = front, call->middle = middle;
    call->leaves = (uint8_t *)PyBytes_AsString(leaves), call->room = NULL, call->size = 0, call->kind.names = NULL;
    for (Py_ssize_t at = 0, some; at < rows; at += some)
        if (!(some = seal_some(call, at, rows - at))) goto done;
    answer = PyTuple_Pack(5, lists[KEYS], lists[SIDS], leaves, lists[CONTENTS], lists[OTHERS]);
done:
    if (call) PyMem_Free(call->room);
    PyMem_Free(call);
    for (int at = 0; at < LISTS; at++) Py_XDECREF(lists[at]);
    Py_XDECREF(leaves);
    return answer;
}

static PyObject *hash_each(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct waiting waiting;
    struct span before, part, after;
    Py_ssize_t size;
    (void)self;
    waiting.count = 0;
    if (!check_count(count, 3)) return NULL;
    if (!(before.at = get_bytes(given[0], &size))) return NULL;
    before.size = (size_t)size;
    if (!(after.at = get_bytes(given[2], &size))) return NULL;
    after.size = (size_t)size;
    if (!is_sequence(given[1])) {
        PyErr_SetString(PyExc_TypeError, "what is hashed stands in a list or a tuple");
        return NULL;
    }
    Py_ssize_t parts = get_length(given[1]);
    size_t room = before.size + DIGEST_BYTES + after.size + MOST_PADDING;
    uint8_t *messages = PyMem_Malloc(MAX_WAITING * room);
    PyObject *made = messages ? PyBytes_FromStringAndSize(NULL, DIGEST_BYTES * parts) : PyErr_NoMemory();
    for (Py_ssize_t at = 0; made && at < parts; at++) {
        part = (struct span){get_sized(get_item(given[1], at), DIGEST_BYTES, "a digest"), DIGEST_BYTES};
        if (!part.at) {
            Py_DECREF(made);
            made = NULL;
            break;
        }
        if (waiting.count == MAX_WAITING) hash_waiting(&waiting);
        uint8_t *message = messages + waiting.count * room, *end = write_span(write_span(write_span(message, before), part), after);
        hash_later(&waiting, message, (size_t)(end - message), (uint8_t *)PyBytes_AsString(made) + DIGEST_BYTES * at);
    }
    if (made) hash_waiting(&waiting);
    PyMem_Free(messages);
    return made;
}

PyMethodDef STATEMENT_METHODS[] = {
    {"seal_statements", FAST(seal_statements), METH_FASTCALL,
     "seal_statements(front, middle, names, fields, secrets, chains, tails, targets, subjects):"
     " (content keys, sids, leaves, contents, other subjects or None)."},
    {"hash_each", FAST(hash_each), METH_FASTCALL, "hash_each(before, digests, after): the hash of each between the two, joined."},
    {NULL, NULL, 0, NULL},
};
