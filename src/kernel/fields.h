/* Fields under salted digests, for the functions of this folder that seal them (docs/spec/2-entries.md, 2.1 and 2.2). */
#ifndef CARNET_FIELDS_H
#define CARNET_FIELDS_H

#include "json.h"

#define SALT_BYTES 16
#define SECRET_BYTES 32
#define MAX_FIELDS 1024

/* A content key, and the salts of so many fields behind it. */
#define STREAM_BYTES(fields) (SECRET_BYTES + SALT_BYTES * (fields))

void expand_secret(const uint8_t secret[SECRET_BYTES], Py_ssize_t fields, uint8_t *stream);

/* The same of some, of SHAKE_LANES at most. */
void expand_secrets(const uint8_t *const *secrets, size_t count, size_t fields, uint8_t *const *streams);

#define FIELD_TAG_BYTES 15
#define ROOT_FRAME_BYTES 20

/* How a field's message and that of the root begin; gives where they go on. */
uint8_t *write_field_tag(uint8_t *to);
uint8_t *write_root_frame(uint8_t *to, size_t fields);

/* `name` stands behind its length, as bytes. */
void hash_field(const uint8_t salt[SALT_BYTES], PyObject *name, const uint8_t *value, Py_ssize_t size, uint8_t *digest);

void begin_root(struct sha256 *root, Py_ssize_t fields);
void add_to_root(struct sha256 *root, PyObject *name, const uint8_t digest[DIGEST_BYTES]);

/* Whether names are bytes in a tuple, not too many; 0 and an error otherwise. */
int check_names(PyObject *names);

/* Whether a secret expands to as many salts as these fields need; 0 and an error otherwise. */
int check_sealable(Py_ssize_t fields);

#endif
