/* The census: heads that are followed, their leaves, and the tree in pieces (carnet.tlog.pieces; docs/spec, 2.11 and
   3.9). */
#include "census.h"

#define CHILDREN 16
#define HEAD_PARTS 4
#define TOGETHER 16
#define MAX_EPOCH 0xffffffffULL
#define MAX_SEQ ((1ULL << 53) - 1)

static const char LINK[] = "carnet/1/link\n", SIGNED[] = "carnet/1/signed\n";
/* A leaf is hashed behind a zero byte (docs/spec, 3.9). */
static const char SLOT[] = "carnet/1/slot\n", LEAF[] = "\0carnet/1/head\n", TIP[] = "carnet/1/tip\n";
static const uint8_t EMPTY[DIGEST_BYTES] = {0};

/* Messages that are hashed together. */
struct together {
    size_t count;
    uint8_t blocks[TOGETHER][128];
    struct padded messages[TOGETHER];
};

/* Add a message, which stands in the next of the blocks, and where its digest goes. */
static void add_message(struct together *some, size_t size, uint8_t *digest) {
    uint8_t *blocks = some->blocks[some->count];
    some->messages[some->count++] = (struct padded){blocks, sha256_pad(blocks, size), digest};
}

static void hash_together(struct together *some) {
    sha256_all(some->messages, some->count);
    some->count = 0;
}

/* Of names that stand in records of so many bytes. */
static void find_slots_of(const uint8_t *names, Py_ssize_t size, Py_ssize_t count, uint8_t *slots, Py_ssize_t step) {
    struct together some;
    some.count = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        uint8_t *message = some.blocks[some.count];
        memcpy(message, SLOT, sizeof SLOT - 1);
        memcpy(message + sizeof SLOT - 1, names + size * at, NAME_BYTES);
        add_message(&some, sizeof SLOT - 1 + NAME_BYTES, slots + step * at);
        if (some.count == TOGETHER || at + 1 == count) hash_together(&some);
    }
}

void find_slot(const uint8_t *name, uint8_t *slot) { find_slots_of(name, NAME_BYTES, 1, slot, SLOT_BYTES); }

void find_all_slots(const uint8_t *leaves, Py_ssize_t count, uint8_t *slots, Py_ssize_t step) {
    find_slots_of(leaves, LEAF_BYTES, count, slots, step);
}

const uint8_t *get_leaves(PyObject *given, Py_ssize_t *count) {
    Py_ssize_t size;
    const uint8_t *leaves = get_bytes(given, &size);
    if (leaves && size % LEAF_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a leaf has a name of 16 bytes and a hash of 32");
        return NULL;
    }
    if (leaves) *count = size / LEAF_BYTES;
    return leaves;
}

static PyObject *find_slots(PyObject *self, PyObject *given) {
    Py_ssize_t count;
    const uint8_t *leaves = get_leaves(given, &count);
    (void)self;
    if (!leaves) return NULL;
    PyObject *made = PyBytes_FromStringAndSize(NULL, count * SLOT_BYTES);
    if (!made) return NULL;
    uint8_t *slots = (uint8_t *)PyBytes_AsString(made);
    find_all_slots(leaves, count, slots, SLOT_BYTES);
    return made;
}

/* A number up to `most` as so many bytes, the highest first; 0 and an error for any other. */
static int write_number(PyObject *given, uint8_t *at, int size, unsigned long long most) {
    unsigned long long number = PyLong_AsUnsignedLongLong(given);
    if (PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) PyErr_SetString(PyExc_ValueError, "a number is out of range");
        return 0;
    }
    if (number > most) {
        PyErr_SetString(PyExc_ValueError, "a number is out of range");
        return 0;
    }
    for (int place = size - 1; place >= 0; place--, number >>= 8) at[place] = (uint8_t)number;
    return 1;
}

static void hash_some_heads(const uint8_t *heads, Py_ssize_t count, uint8_t *changes) {
    uint8_t tips[TOGETHER][DIGEST_BYTES];
    struct together some;
    some.count = 0;
    find_slots_of(heads, HEAD_BYTES, count, changes, CHANGE_BYTES);
    for (Py_ssize_t at = 0; at < count; at++) {
        uint8_t *message = some.blocks[some.count];
        memcpy(message, TIP, sizeof TIP - 1);
        memcpy(message + sizeof TIP - 1, heads + HEAD_BYTES * at, HEAD_BYTES);
        add_message(&some, sizeof TIP - 1 + HEAD_BYTES, tips[at]);
    }
    hash_together(&some);
    for (Py_ssize_t at = 0; at < count; at++) {
        uint8_t *message = some.blocks[some.count], *change = changes + CHANGE_BYTES * at;
        memcpy(message, LEAF, sizeof LEAF - 1);
        memcpy(message + sizeof LEAF - 1, change, SLOT_BYTES);
        memcpy(message + sizeof LEAF - 1 + SLOT_BYTES, tips[at], DIGEST_BYTES);
        memcpy(change + SLOT_BYTES, heads + HEAD_BYTES * at, NAME_BYTES);
        add_message(&some, sizeof LEAF - 1 + SLOT_BYTES + DIGEST_BYTES, change + SLOT_BYTES + NAME_BYTES);
    }
    hash_together(&some);
}

void hash_heads(const uint8_t *heads, Py_ssize_t count, uint8_t *changes) {
    for (Py_ssize_t at = 0; at < count; at += TOGETHER)
        hash_some_heads(heads + HEAD_BYTES * at, count - at < TOGETHER ? count - at : TOGETHER, changes + CHANGE_BYTES * at);
}

int read_head(PyObject *given, uint8_t *head) {
    const uint8_t *chain, *id;
    if (!PyTuple_Check(given) || PyTuple_Size(given) != HEAD_PARTS) {
        PyErr_SetString(PyExc_TypeError, "a head is a tuple of chain16, epoch, seq and link id");
        return 0;
    }
    if (!(chain = get_sized(PyTuple_GetItem(given, 0), NAME_BYTES, "a chain's id"))) return 0;
    if (!write_number(PyTuple_GetItem(given, 1), head + NAME_BYTES, 4, MAX_EPOCH)) return 0;
    if (!write_number(PyTuple_GetItem(given, 2), head + NAME_BYTES + 4, 8, MAX_SEQ)) return 0;
    if (!(id = get_sized(PyTuple_GetItem(given, 3), DIGEST_BYTES, "a link's id"))) return 0;
    memcpy(head, chain, NAME_BYTES);
    memcpy(head + NAME_BYTES + 12, id, DIGEST_BYTES);
    return 1;
}

/* A link's parts follow each other as they are given; what the author signed, with the signature, makes `signed`. */
static PyObject *compute_next_id(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint8_t numbers[12], mark, digest[DIGEST_BYTES];
    static const uint8_t NO_TARGET[DIGEST_BYTES] = {0};
    const uint8_t *chain, *prev, *sid, *target = NO_TARGET, *signature;
    Py_ssize_t size;
    struct sha256 hash;
    (void)self;
    if (!check_count(count, 8)) return NULL;
    if (!(chain = get_sized(given[0], NAME_BYTES, "a chain's id"))) return NULL;
    if (!write_number(given[1], numbers, 8, UINT64_MAX) || !write_number(given[2], numbers + 8, 4, MAX_EPOCH)) return NULL;
    if (!(prev = get_sized(given[3], DIGEST_BYTES, "a link's id"))) return NULL;
    if (!(sid = get_sized(given[4], DIGEST_BYTES, "a statement's id"))) return NULL;
    if (!write_number(given[5], &mark, 1, UINT8_MAX)) return NULL;
    if (given[6] != Py_None && !(target = get_sized(given[6], DIGEST_BYTES, "a target"))) return NULL;
    if (!(signature = get_bytes(given[7], &size))) return NULL;
    sha256_begin(&hash);
    sha256_add(&hash, SIGNED, sizeof SIGNED - 1);
    sha256_add(&hash, sid, DIGEST_BYTES);
    sha256_add(&hash, signature, (size_t)size);
    sha256_end(&hash, digest);
    sha256_begin(&hash);
    sha256_add(&hash, LINK, sizeof LINK - 1);
    sha256_add(&hash, chain, NAME_BYTES);
    sha256_add(&hash, numbers, sizeof numbers);
    sha256_add(&hash, prev, DIGEST_BYTES);
    sha256_add(&hash, sid, DIGEST_BYTES);
    sha256_add(&hash, &mark, 1);
    sha256_add(&hash, target, DIGEST_BYTES);
    sha256_add(&hash, digest, DIGEST_BYTES);
    sha256_end(&hash, digest);
    return make_digest(digest);
}

static uint32_t read_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static PyObject *hash_page(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    uint64_t counts[2 * CHILDREN];
    const uint8_t *said, *below;
    (void)self;
    if (!check_count(count, 2)) return NULL;
    if (!(said = get_sized(given[0], 4 * CHILDREN, "counts"))) return NULL;
    if (!(below = get_sized(given[1], CHILDREN * DIGEST_BYTES, "the children's hashes"))) return NULL;
    PyObject *made = PyBytes_FromStringAndSize(NULL, (2 * CHILDREN - 1) * DIGEST_BYTES);
    if (!made) return NULL;
    /* Node 1 is the first of them. */
    uint8_t *nodes = (uint8_t *)PyBytes_AsString(made);
#define NODE(number) (nodes + ((number) - 1) * DIGEST_BYTES)
    memcpy(NODE(CHILDREN), below, CHILDREN * DIGEST_BYTES);
    for (int child = 0; child < CHILDREN; child++) counts[CHILDREN + child] = read_u32(said + 4 * child);
    for (int node = CHILDREN - 1; node > 0; node--) {
        counts[node] = counts[2 * node] + counts[2 * node + 1];
        if (counts[node] > 1)
            sha256_node(NODE(2 * node), NODE(2 * node + 1), NODE(node));
        else
            memcpy(NODE(node), NODE(counts[2 * node] ? 2 * node : 2 * node + 1), DIGEST_BYTES);
    }
#undef NODE
    return made;
}

int find_parting(const uint8_t *one, const uint8_t *other) {
    int at = 0;
    while (at < SLOT_BYTES && one[at] == other[at]) at++;
    if (at == SLOT_BYTES) return 8 * SLOT_BYTES;
    int bit = 0;
    while (!((one[at] ^ other[at]) >> (7 - bit) & 1)) bit++;
    return 8 * at + bit;
}

/* The hash at `depth` of ascending leaves, at least one; each join parts them, so that it goes as deep as they are
   many. */
void join_leaves(const uint8_t *slots, const uint8_t *leaves, Py_ssize_t count, int depth, uint8_t *digest) {
    if (count == 1) {
        memcpy(digest, leaves + NAME_BYTES, DIGEST_BYTES);
        return;
    }
    const uint8_t *last = slots + SLOT_BYTES * (count - 1);
    int parting = find_parting(slots, last);
    Py_ssize_t middle = 1;
    while (!get_bit(slots + SLOT_BYTES * middle, parting)) middle++;
    uint8_t one[DIGEST_BYTES];
    join_leaves(slots, leaves, middle, parting + 1, digest);
    join_leaves(slots + SLOT_BYTES * middle, leaves + LEAF_BYTES * middle, count - middle, parting + 1, one);
    sha256_node(digest, one, digest);
    while (parting-- > depth) {
        if (get_bit(last, parting))
            sha256_node(EMPTY, digest, digest);
        else
            sha256_node(digest, EMPTY, digest);
    }
}

/* The same of two hashes for each leaf. */
static void join_both(const uint8_t *slots, const uint8_t *leaves, const uint8_t *others, Py_ssize_t count, int depth,
                      uint8_t *digest, uint8_t *other) {
    if (count == 1) {
        memcpy(digest, leaves + NAME_BYTES, DIGEST_BYTES);
        memcpy(other, others + NAME_BYTES, DIGEST_BYTES);
        return;
    }
    const uint8_t *last = slots + SLOT_BYTES * (count - 1);
    int parting = find_parting(slots, last);
    Py_ssize_t middle = 1;
    while (!get_bit(slots + SLOT_BYTES * middle, parting)) middle++;
    uint8_t right[DIGEST_BYTES], other_right[DIGEST_BYTES];
    join_both(slots, leaves, others, middle, parting + 1, digest, other);
    join_both(slots + SLOT_BYTES * middle, leaves + LEAF_BYTES * middle, others + LEAF_BYTES * middle, count - middle,
              parting + 1, right, other_right);
    sha256_two_nodes(digest, right, digest, other, other_right, other);
    while (parting-- > depth) {
        if (get_bit(last, parting))
            sha256_two_nodes(EMPTY, digest, digest, EMPTY, other, other);
        else
            sha256_two_nodes(digest, EMPTY, digest, other, EMPTY, other);
    }
}

/* Whether slots ascend, and all begin with the bits that lead to the piece of this number. */
static int stand_below(const uint8_t *slots, Py_ssize_t count, unsigned long long number, int depth) {
    for (Py_ssize_t at = 1; at < count; at++)
        if (memcmp(slots + SLOT_BYTES * (at - 1), slots + SLOT_BYTES * at, SLOT_BYTES) >= 0) return 0;
    for (int bit = 0; bit < depth; bit++) {
        int wanted = number >> (depth - 1 - bit) & 1;
        if (get_bit(slots, bit) != wanted || get_bit(slots + SLOT_BYTES * (count - 1), bit) != wanted) return 0;
    }
    return 1;
}

/* Give the leaf of a change its hash; 1 done, 0 there is no such leaf or it goes, -1 an error. */
static int change_leaf(PyObject *change, const uint8_t *slots, uint8_t *leaves, Py_ssize_t count) {
    Py_ssize_t size;
    const uint8_t *data = get_bytes(change, &size);
    if (!data) return -1;
    if (size != CHANGE_BYTES) return 0;
    for (Py_ssize_t at = 0; at < count; at++)
        if (!memcmp(slots + SLOT_BYTES * at, data, SLOT_BYTES)) {
            memcpy(leaves + LEAF_BYTES * at + NAME_BYTES, data + SLOT_BYTES + NAME_BYTES, DIGEST_BYTES);
            return 1;
        }
    return 0;
}

/* Some changes of a bucket whose leaves stand in these slots: its hash, what it holds then, and its hash then; 1 done,
   0 it is no bucket of this number or has not all of these leaves, -1 an error. */
struct changed {
    uint8_t before[DIGEST_BYTES], content[LEAF_BYTES * MAX_BUCKET + 1], after[DIGEST_BYTES];
};

static int change_leaves(const uint8_t *content, Py_ssize_t size, const uint8_t *slots, unsigned long long number,
                         PyObject *changes, Py_ssize_t start, Py_ssize_t end, struct changed *made) {
    Py_ssize_t count = size / LEAF_BYTES;
    int depth = 0, changed = 1;
    if (!number || !count || count > MAX_BUCKET || size % LEAF_BYTES != 1 || content[0]) return 0;
    while (number >> depth > 1) depth++;
    if (!stand_below(slots, count, number, depth)) return 0;
    memcpy(made->content, content, (size_t)size);
    for (Py_ssize_t at = start; changed == 1 && at < end; at++)
        changed = change_leaf(get_item(changes, at), slots, made->content + 1, count);
    if (changed != 1) return changed;
    join_both(slots, content + 1, made->content + 1, count, depth, made->before, made->after);
    return 1;
}

static PyObject *change_bucket(PyObject *self, PyObject *const *given, Py_ssize_t given_count) {
    struct changed made;
    Py_ssize_t size, slots_size;
    const uint8_t *content, *slots;
    (void)self;
    if (!check_count(given_count, 4)) return NULL;
    if (!(content = get_bytes(given[0], &size))) return NULL;
    if (!(slots = get_bytes(given[1], &slots_size))) return NULL;
    unsigned long long number = PyLong_AsUnsignedLongLong(given[2]);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    if (slots_size != SLOT_BYTES * (size / LEAF_BYTES)) Py_RETURN_NONE;
    PyObject *changes = get_sequence(given[3]);
    if (!changes) return NULL;
    int changed = change_leaves(content, size, slots, number, changes, 0, get_length(changes), &made);
    Py_DECREF(changes);
    if (changed < 0) return NULL;
    if (!changed) Py_RETURN_NONE;
    return Py_BuildValue("y#y#y#", (const char *)made.before, (Py_ssize_t)DIGEST_BYTES, (const char *)made.content, size,
                         (const char *)made.after, (Py_ssize_t)DIGEST_BYTES);
}

/* The place of each bucket's slots among all of them; 0 and an error unless each leaf has one. */
static int find_places(PyObject *contents, Py_ssize_t slots_size, Py_ssize_t places[CHILDREN]) {
    Py_ssize_t size, at = 0;
    if (!is_sequence(contents) || get_length(contents) != CHILDREN) {
        PyErr_SetString(PyExc_ValueError, "a page has 16 children");
        return 0;
    }
    for (int child = 0; child < CHILDREN; child++) {
        PyObject *content = get_item(contents, child);
        places[child] = at;
        if (content == Py_None) continue;
        if (!get_bytes(content, &size)) return 0;
        at += SLOT_BYTES * (size / LEAF_BYTES);
    }
    if (at == slots_size) return 1;
    PyErr_SetString(PyExc_ValueError, "each leaf has a slot of 32 bytes");
    return 0;
}

/* The child of a page at this depth to which a change leads; -1 and an error for what is no change. */
static int find_branch(PyObject *change, int depth) {
    Py_ssize_t size;
    const uint8_t *slot = get_bytes(change, &size);
    if (!slot) return -1;
    if (size < SLOT_BYTES) {
        PyErr_SetString(PyExc_ValueError, "a change begins with a slot of 32 bytes");
        return -1;
    }
    return depth % 8 ? slot[depth / 8] & 15 : slot[depth / 8] >> 4;
}

/* Change what stands below a page, whose hashes are in `digests`; what is not done here goes into `rest`. */
static int change_below(unsigned long long number, int depth, PyObject *contents, const uint8_t *slots,
                        const Py_ssize_t *places, PyObject *changes, uint8_t *digests, PyObject *written, PyObject *rest) {
    struct changed made;
    Py_ssize_t size, start = 0, end, count = get_length(changes);
    for (int branch, last = -1; start < count; start = end, last = branch) {
        if ((branch = find_branch(get_item(changes, start), depth)) < 0) return 0;
        int next = branch, changed = 0;
        for (end = start + 1; end < count; end++) {
            if ((next = find_branch(get_item(changes, end), depth)) < 0) return 0;
            if (next != branch) break;
        }
        if (branch <= last) {
            PyErr_SetString(PyExc_ValueError, "changes ascend");
            return 0;
        }
        PyObject *content = get_item(contents, branch), *one;
        uint8_t *digest = digests + DIGEST_BYTES * branch;
        if (content != Py_None) {
            const uint8_t *data = get_bytes(content, &size);
            changed = change_leaves(data, size, slots + places[branch], number << 4 | (unsigned)branch, changes, start, end, &made);
        }
        if (changed < 0) return 0;
        if (changed && !memcmp(made.before, digest, DIGEST_BYTES)) {
            memcpy(digest, made.after, DIGEST_BYTES);
            one = PyBytes_FromStringAndSize((const char *)made.content, size);
            if (!one || PyList_SetItem(written, branch, one) < 0) return 0;
            continue;
        }
        one = Py_BuildValue("inn", branch, start, end);
        if (!one || PyList_Append(rest, one) < 0) {
            Py_XDECREF(one);
            return 0;
        }
        Py_DECREF(one);
    }
    return 1;
}

static PyObject *change_buckets(PyObject *self, PyObject *const *given, Py_ssize_t given_count) {
    Py_ssize_t slots_size, places[CHILDREN];
    const uint8_t *slots, *said;
    uint8_t digests[CHILDREN * DIGEST_BYTES];
    int depth = 0;
    (void)self;
    if (!check_count(given_count, 5)) return NULL;
    unsigned long long number = PyLong_AsUnsignedLongLong(given[0]);
    if (PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) PyErr_SetString(PyExc_ValueError, "a page has no such number");
        return NULL;
    }
    while (number >> depth > 1) depth++;
    if (!number || depth % 4 || depth >= 60) {
        PyErr_SetString(PyExc_ValueError, "a page has no such number");
        return NULL;
    }
    if (!(said = get_sized(given[1], sizeof digests, "the children's hashes"))) return NULL;
    if (!(slots = get_bytes(given[3], &slots_size)) || !find_places(given[2], slots_size, places)) return NULL;
    memcpy(digests, said, sizeof digests);
    PyObject *changes = get_sequence(given[4]), *written = PyList_New(CHILDREN), *rest = PyList_New(0), *made = NULL;
    if (!changes || !written || !rest) goto failed;
    for (int child = 0; child < CHILDREN; child++)
        if (PyList_SetItem(written, child, Py_NewRef(Py_None)) < 0) goto failed;
    if (change_below(number, depth, given[2], slots, places, changes, digests, written, rest))
        made = Py_BuildValue("y#OO", (const char *)digests, (Py_ssize_t)sizeof digests, written, rest);
failed:
    Py_XDECREF(changes);
    Py_XDECREF(written);
    Py_XDECREF(rest);
    return made;
}

PyMethodDef CENSUS_METHODS[] = {
    {"find_slots", find_slots, METH_O, "find_slots(leaves): the slots of a bucket's leaves, joined."},
    {"compute_next_id", FAST(compute_next_id), METH_FASTCALL,
     "compute_next_id(chain, seq, epoch, prev, sid, mark, target, signature): the id of a link."},
    {"hash_page", FAST(hash_page), METH_FASTCALL, "hash_page(counts, digests): the hashes of a page's nodes 1 to 31."},
    {"change_bucket", FAST(change_bucket), METH_FASTCALL,
     "change_bucket(content, slots, number, changes): its hash, what it holds then, its hash then; or None."},
    {"change_buckets", FAST(change_buckets), METH_FASTCALL,
     "change_buckets(number, digests, contents, slots, changes): the hashes below a page then, what its buckets hold, and"
     " the runs of changes that are left."},
    {NULL, NULL, 0, NULL},
};
