/* The accreditations of a member as they stand in its canonical JSON (docs/spec/3-ledger.md, 3.3): lists of a text and two
   numbers of a byte, strictly ascending. Whatever is not plainly so, as a text with escapes, is left to Python. */
#include "args.h"

struct triple {
    const uint8_t *text;
    size_t size;
    int basis, class_;
};

static int take(const uint8_t **at, const uint8_t *end, uint8_t wanted) {
    if (*at == end || **at != wanted) return 0;
    ++*at;
    return 1;
}

/* A number of a byte in its one spelling; -1 where there is none. */
static int take_u8(const uint8_t **at, const uint8_t *end) {
    const uint8_t *first = *at;
    int number = 0;
    while (*at < end && *at - first < 3 && **at >= '0' && **at <= '9') number = 10 * number + *(*at)++ - '0';
    int is_spelled = *at > first && (*first != '0' || *at == first + 1);
    return is_spelled && number <= 255 ? number : -1;
}

static int take_triple(const uint8_t **at, const uint8_t *end, struct triple *one) {
    if (!take(at, end, '[') || !take(at, end, '"')) return 0;
    one->text = *at;
    while (*at < end && **at >= ' ' && **at < 0x7f && **at != '"' && **at != '\\') ++*at;
    one->size = (size_t)(*at - one->text);
    if (!take(at, end, '"') || !take(at, end, ',') || (one->basis = take_u8(at, end)) < 0) return 0;
    return take(at, end, ',') && (one->class_ = take_u8(at, end)) >= 0 && take(at, end, ']');
}

static int is_before(const struct triple *one, const struct triple *next) {
    int order = memcmp(one->text, next->text, one->size < next->size ? one->size : next->size);
    if (order) return order < 0;
    if (one->size != next->size) return one->size < next->size;
    return one->basis != next->basis ? one->basis < next->basis : one->class_ < next->class_;
}

static int do_ascend(const uint8_t *at, const uint8_t *end) {
    struct triple last = {0}, one;
    if (!take(&at, end, '[')) return 0;
    for (int is_first = 1; end - at > 1; is_first = 0, last = one)
        if ((!is_first && !take(&at, end, ',')) || !take_triple(&at, end, &one) || (!is_first && !is_before(&last, &one))) return 0;
    return take(&at, end, ']') && at == end;
}

static PyObject *do_accreditations_ascend(PyObject *self, PyObject *given) {
    Py_ssize_t size;
    const uint8_t *data = get_bytes(given, &size);
    (void)self;
    return data ? PyBool_FromLong(do_ascend(data, data + size)) : NULL;
}

PyMethodDef ACCREDITATION_METHODS[] = {
    {"do_accreditations_ascend", do_accreditations_ascend, METH_O,
     "do_accreditations_ascend(encoded): whether these are accreditations in `cj`, in order; False if it has to be looked at."},
    {NULL, NULL, 0, NULL},
};
