/* Statements of which nothing is special, run by run, each run behind the newest link of its chain: their links
   (docs/spec/2-entries.md, 2.11) with the hashes of their leaves, and the rows and receipts that come of them. The first
   statement that is anything else ends it: whoever called looks at that one. */
#include "args.h"

static const char LINK[] = "carnet/1/link\n";
#define TAG_BYTES (sizeof LINK - 1)
#define CHAIN_BYTES 16
#define LINK_BYTES 171
/* Where the link before and the statement's id stand in a link. */
#define PREV_AT (TAG_BYTES + CHAIN_BYTES + 12)
#define SID_AT (PREV_AT + DIGEST_BYTES)

/* The parts of a prepared statement, as `carnet.node.jobs.Row` has them. */
enum { PLACE, KIND, CLASS, MARK, TARGET, SID, SUB_INDEX, SECRET, CONTENT, SOURCE, ALIAS, ROW_PARTS };

struct linking {
    PyObject *kinds, *class_, *basis, *submission, *seal, *accepted, *zero, *one;
    const uint8_t *signatures; /* of all statements of the submission, 32 bytes each */
    Py_ssize_t signature_count, index, room;
    long class_number;
    /* Of the run that is being linked. */
    PyObject *number, *chain16, *epoch;
    unsigned long long seq;
    uint8_t link[LINK_BYTES];
    /* Of those that were linked last, how many have this kind (its number), which the dict does not have yet. */
    PyObject *kind;
    Py_ssize_t kind_count;
    PyObject *places, *spots, *counts, *leaves, *entries, *bare, *receipts; /* receipts: None, if nobody asks for them */
};

/* The parts of a tuple, borrowed; 0 and an error where it is none of this size. */
static int get_parts(PyObject *tuple, Py_ssize_t size, PyObject **parts, const char *what) {
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != size) {
        PyErr_Format(PyExc_TypeError, "%s is a tuple of %zd", what, size);
        return 0;
    }
    for (Py_ssize_t at = 0; at < size; at++) parts[at] = PyTuple_GetItem(tuple, at);
    return 1;
}

static PyObject *make_blob(PyObject *given) {
    Py_ssize_t size;
    if (PyByteArray_Check(given)) return Py_NewRef(given);
    const uint8_t *data = get_bytes(given, &size);
    return data ? PyByteArray_FromStringAndSize((const char *)data, size) : NULL;
}

/* Append a tuple of new references, any of which may be NULL with an error; all of them are taken. */
static int append_tuple(PyObject *list, PyObject **parts, Py_ssize_t count) {
    PyObject *tuple = PyTuple_New(count);
    int is_good = tuple != NULL;
    for (Py_ssize_t at = 0; at < count; at++) {
        if (!parts[at]) is_good = 0;
        /* Takes the part, also where it fails. */
        if (tuple && parts[at]) PyTuple_SetItem(tuple, at, parts[at]);
        else Py_XDECREF(parts[at]);
    }
    is_good = is_good && PyList_Append(list, tuple) == 0;
    Py_XDECREF(tuple);
    return is_good;
}

/* Whether a statement is like most: 1, 0, or -1 and an error. Its kind's number is borrowed. */
static int is_plain_row(struct linking *linking, PyObject **row, PyObject **kind) {
    long mark = PyLong_AsLong(row[MARK]);
    if (mark == -1 && PyErr_Occurred()) return -1;
    long class_ = PyLong_AsLong(row[CLASS]);
    if (class_ == -1 && PyErr_Occurred()) return -1;
    if (!PyUnicode_CheckExact(row[KIND])) {
        PyErr_SetString(PyExc_TypeError, "a kind is a text");
        return -1;
    }
    *kind = PyDict_GetItemWithError(linking->kinds, row[KIND]);
    if (!*kind) return PyErr_Occurred() ? -1 : 0;
    return !mark && class_ == linking->class_number && row[ALIAS] == Py_None;
}

static int write_entry(struct linking *linking, PyObject **row, PyObject *kind, PyObject *seq) {
    int has_source = row[SOURCE] != Py_None, has_content = row[CONTENT] != Py_None;
    PyObject *parts[15] = {
        Py_NewRef(linking->number), Py_NewRef(seq), Py_NewRef(kind), Py_NewRef(linking->basis),
        Py_NewRef(linking->class_), Py_NewRef(linking->zero), make_blob(row[SID]), Py_NewRef(linking->submission),
        Py_NewRef(row[SUB_INDEX]), Py_NewRef(linking->seal), PyLong_FromSsize_t(linking->index),
        Py_NewRef(has_content ? linking->zero : linking->one),
    };
    int at = 12;
    if (has_source) parts[at++] = make_blob(row[SOURCE]);
    parts[at++] = make_blob(row[SECRET]);
    parts[at++] = has_content ? make_blob(row[CONTENT]) : Py_NewRef(Py_None);
    return append_tuple(has_source ? linking->entries : linking->bare, parts, at);
}

/* Add what was counted of the latest kind to the others. */
static int note_kind(struct linking *linking) {
    if (!linking->kind_count) return 1;
    PyObject *before = PyDict_GetItemWithError(linking->counts, linking->kind);
    if (!before && PyErr_Occurred()) return 0;
    Py_ssize_t others = before ? PyLong_AsSsize_t(before) : 0;
    PyObject *count = PyLong_FromSsize_t(others + linking->kind_count);
    int is_good = count && PyDict_SetItem(linking->counts, linking->kind, count) == 0;
    Py_XDECREF(count);
    linking->kind_count = 0;
    return is_good;
}

static int count_kind(struct linking *linking, PyObject *kind) {
    if (kind != linking->kind) {
        if (!note_kind(linking)) return 0;
        Py_XDECREF(linking->kind);
        linking->kind = Py_NewRef(kind);
    }
    linking->kind_count++;
    return 1;
}

static int link_row(struct linking *linking, PyObject **row, PyObject *kind) {
    uint8_t leaf[DIGEST_BYTES], *link = linking->link;
    struct sha256 hash;
    const uint8_t *sid = get_sized(row[SID], DIGEST_BYTES, "a sid");
    Py_ssize_t sub_index = sid ? PyLong_AsSsize_t(row[SUB_INDEX]) : -1;
    if (!sid || (sub_index == -1 && PyErr_Occurred())) return 0;
    if (sub_index < 0 || sub_index >= linking->signature_count) {
        PyErr_SetString(PyExc_ValueError, "a submission has no statement at this place");
        return 0;
    }
    const uint8_t *signature = linking->signatures + DIGEST_BYTES * sub_index;
    linking->seq++;
    write_u32(link + PREV_AT - 12, (uint32_t)(linking->seq >> 32)), write_u32(link + PREV_AT - 8, (uint32_t)linking->seq);
    memcpy(link + SID_AT, sid, DIGEST_BYTES);
    memcpy(link + LINK_BYTES - DIGEST_BYTES, signature, DIGEST_BYTES);
    sha256_begin(&hash);
    sha256_add(&hash, "", 1);
    sha256_add(&hash, link, LINK_BYTES);
    sha256_end(&hash, leaf);
    /* What the next one stands behind. */
    sha256_of(link, LINK_BYTES, link + PREV_AT);
    PyObject *digest = make_digest(leaf), *seq = PyLong_FromUnsignedLongLong(linking->seq);
    int is_good = digest && seq && PyList_Append(linking->leaves, digest) == 0 && write_entry(linking, row, kind, seq);
    if (is_good && linking->receipts != Py_None) {
        PyObject *parts[7] = {
            Py_NewRef(row[PLACE]), Py_NewRef(linking->chain16), Py_NewRef(seq), Py_NewRef(row[SID]),
            Py_NewRef(linking->seal), make_digest(signature), Py_NewRef(linking->accepted),
        };
        is_good = append_tuple(linking->receipts, parts, 7);
    }
    Py_XDECREF(digest);
    Py_XDECREF(seq);
    linking->index++;
    return is_good && count_kind(linking, kind);
}

/* What stands in each link of a run alike, and the first one's number and predecessor. */
static int begin_run(struct linking *linking, PyObject *place) {
    PyObject *head[5];
    const uint8_t *chain, *prev;
    if (!get_parts(place, 5, head, "a place")) return 0;
    if (!(chain = get_sized(head[1], CHAIN_BYTES, "a chain"))) return 0;
    if (!(prev = get_sized(head[4], DIGEST_BYTES, "the link before"))) return 0;
    /* A chain that is new has -1 here, after which comes 0. */
    long long seq = PyLong_AsLongLong(head[2]);
    if (seq == -1 && PyErr_Occurred()) return 0;
    unsigned long epoch = PyLong_AsUnsignedLong(head[3]);
    if (PyErr_Occurred()) return 0;
    if (seq < -1 || epoch > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a chain has no such head");
        return 0;
    }
    linking->number = head[0], linking->chain16 = head[1], linking->epoch = head[3];
    linking->seq = (unsigned long long)seq;
    memcpy(linking->link, LINK, TAG_BYTES);
    memcpy(linking->link + TAG_BYTES, chain, CHAIN_BYTES);
    write_u32(linking->link + PREV_AT - 4, (uint32_t)epoch);
    memcpy(linking->link + PREV_AT, prev, DIGEST_BYTES);
    return 1;
}

/* Where the run ends now, and where its links stand. A run of none ends where it began. */
static int end_run(struct linking *linking, PyObject *place, unsigned long long count) {
    if (!count) return PyList_Append(linking->places, place) == 0;
    PyObject *ends[5] = {
        Py_NewRef(linking->number), Py_NewRef(linking->chain16), PyLong_FromUnsignedLongLong(linking->seq),
        Py_NewRef(linking->epoch), make_digest(linking->link + PREV_AT),
    };
    if (!append_tuple(linking->places, ends, 5)) return 0;
    PyObject *spot[3] = {
        Py_NewRef(linking->number), PyLong_FromUnsignedLongLong(linking->seq - count + 1),
        PyLong_FromUnsignedLongLong(count),
    };
    return append_tuple(linking->spots, spot, 3);
}

/* Link a run as far as it is plain and there is room: 1 if that is all of it, 0 if not, -1 and an error. */
static int link_run(struct linking *linking, PyObject *rows, PyObject *place) {
    Py_ssize_t at = 0;
    int is_plain = 1;
    if (!is_sequence(rows)) {
        PyErr_SetString(PyExc_TypeError, "statements stand in a list or a tuple");
        return -1;
    }
    if (!begin_run(linking, place)) return -1;
    for (; at < get_length(rows) && linking->room > 0; at++) {
        PyObject *parts[ROW_PARTS], *kind, *row = Py_NewRef(get_item(rows, at));
        is_plain = get_parts(row, ROW_PARTS, parts, "a prepared statement") ? is_plain_row(linking, parts, &kind) : -1;
        if (is_plain == 1 && !link_row(linking, parts, kind)) is_plain = -1;
        Py_DECREF(row);
        if (is_plain != 1) break;
        linking->room--;
    }
    if (is_plain < 0 || !end_run(linking, place, (unsigned long long)at)) return -1;
    return at == get_length(rows);
}

/* All that may be linked; 0 and an error where one is a fault of ours. */
static int link_all(struct linking *linking, PyObject *runs, PyObject *places) {
    for (Py_ssize_t at = 0; at < get_length(runs) && at < get_length(places); at++) {
        PyObject *rows = Py_NewRef(get_item(runs, at)), *place = Py_NewRef(get_item(places, at));
        int is_whole = link_run(linking, rows, place);
        Py_DECREF(rows);
        Py_DECREF(place);
        if (is_whole != 1) return is_whole == 0 && note_kind(linking);
    }
    return note_kind(linking);
}

static int begin(struct linking *linking, PyObject *const *given) {
    PyObject *frame[4];
    Py_ssize_t size;
    if (!is_sequence(given[0]) || !is_sequence(given[1]) || !PyDict_Check(given[2])) {
        PyErr_SetString(PyExc_TypeError, "runs and places stand in a list or a tuple, kinds in a dict");
        return 0;
    }
    if (get_length(given[0]) != get_length(given[1])) {
        PyErr_SetString(PyExc_ValueError, "each run has a place");
        return 0;
    }
    linking->kinds = given[2], linking->class_ = given[3];
    linking->class_number = PyLong_AsLong(given[3]);
    if (linking->class_number == -1 && PyErr_Occurred()) return 0;
    if (!get_parts(given[4], 4, frame, "a frame")) return 0;
    linking->basis = frame[0], linking->submission = frame[1], linking->seal = frame[2], linking->accepted = frame[3];
    if (!(linking->signatures = get_bytes(given[5], &size))) return 0;
    linking->signature_count = size / DIGEST_BYTES;
    linking->index = PyLong_AsSsize_t(given[6]);
    if (linking->index == -1 && PyErr_Occurred()) return 0;
    linking->room = PyLong_AsSsize_t(given[7]);
    if (linking->room == -1 && PyErr_Occurred()) return 0;
    if (linking->index >= 0) return 1;
    PyErr_SetString(PyExc_ValueError, "a place is not negative");
    return 0;
}

static PyObject *link_plain(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct linking linking = {0};
    PyObject *made = NULL;
    (void)self;
    if (!check_count(count, 9) || !begin(&linking, given)) return NULL;
    int is_quiet = PyObject_IsTrue(given[8]);
    if (is_quiet < 0) return NULL;
    PyObject **lists[] = {&linking.places, &linking.spots, &linking.leaves, &linking.entries, &linking.bare};
    int is_ready = (linking.zero = PyLong_FromLong(0)) && (linking.one = PyLong_FromLong(1));
    for (size_t at = 0; at < sizeof lists / sizeof *lists; at++) is_ready = (*lists[at] = PyList_New(0)) && is_ready;
    is_ready = (linking.counts = PyDict_New()) && is_ready;
    is_ready = (linking.receipts = is_quiet ? Py_NewRef(Py_None) : PyList_New(0)) && is_ready;
    if (is_ready && link_all(&linking, given[0], given[1]))
        made = PyTuple_Pack(7, linking.places, linking.spots, linking.counts, linking.leaves, linking.entries, linking.bare,
                            linking.receipts);
    for (size_t at = 0; at < sizeof lists / sizeof *lists; at++) Py_XDECREF(*lists[at]);
    Py_XDECREF(linking.zero);
    Py_XDECREF(linking.one);
    Py_XDECREF(linking.kind);
    Py_XDECREF(linking.counts);
    Py_XDECREF(linking.receipts);
    return made;
}

PyMethodDef LINK_METHODS[] = {
    {"link_plain", FAST(link_plain), METH_FASTCALL,
     "link_plain(runs, places, kinds, class, frame, signed, index, room, is_quiet): (places, spots, counts of kinds, hashes"
     " of leaves, entries, entries without a source, receipts) of the statements up to one that is special."},
    {NULL, NULL, 0, NULL},
};
