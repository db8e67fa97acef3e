/* Canonical JSON that somebody has checked, taken apart where it stands. */
#ifndef CARNET_JSON_H
#define CARNET_JSON_H

#include "args.h"

struct span {
    const uint8_t *at;
    size_t size;
};

/* Canonical JSON that is not read yet. */
struct json {
    const uint8_t *at, *end;
};

static inline int is_text(struct span one, const char *text) { return one.size == strlen(text) && !memcmp(one.at, text, one.size); }

static inline int take(struct json *json, char wanted) {
    if (json->at == json->end || *json->at != (uint8_t)wanted) return 0;
    json->at++;
    return 1;
}

/* The text that begins here, without its quotes. */
static inline int take_text(struct json *json, struct span *text) {
    if (!take(json, '"')) return 0;
    text->at = json->at;
    for (; json->at < json->end; json->at++) {
        if (*json->at == '"') {
            text->size = (size_t)(json->at - text->at);
            json->at++;
            return 1;
        }
        if (*json->at == '\\' && ++json->at == json->end) return 0;
    }
    return 0;
}

/* The value that begins here. Where it ends is all that is looked at: whoever calls has just written it. */
static inline int take_value(struct json *json, struct span *value) {
    size_t depth = 0;
    struct span text;
    value->at = json->at;
    while (json->at < json->end) {
        uint8_t here = *json->at;
        if (here == '"') {
            if (!take_text(json, &text)) return 0;
        } else if (here == '{' || here == '[') {
            depth++, json->at++;
        } else if (depth && (here == '}' || here == ']')) {
            depth--, json->at++;
        } else if (!depth && (here == ',' || here == '}' || here == ']')) {
            break;
        } else {
            json->at++;
        }
    }
    value->size = (size_t)(json->at - value->at);
    return !depth && value->size;
}

/* The next member of an object, of which `at` went before it. */
static inline int take_member(struct json *json, Py_ssize_t at, struct span *name, struct span *value) {
    return take(json, at ? ',' : '{') && take_text(json, name) && take(json, ':') && take_value(json, value);
}

static inline uint8_t *write_span(uint8_t *to, struct span what) {
    memcpy(to, what.at, what.size);
    return to + what.size;
}

#endif
