/* A line of the HistoVec file, read at once: what each of its inspections becomes, without an object for each column.

   It takes what is normal alone, and says nothing of the rest: Python looks at that, and explains it
   (carnet/formats/histovec.py, whose `_read_inspections` does the same). A text that it takes holds neither an escape
   nor a control, so that its bytes are those of its JSON, and of the text itself. */
#include <stdlib.h>

#include "pack.h"

#define KM_DIGITS 7
#define CENTRE_LENGTH 120
#define REPORT_LENGTH 64
#define FIRST_YEAR 1886
#define MAX_ROW 1024
/* A row has fewer bytes in either form: 320 of names and constants, and its texts. */
#define TEXT(name) name, sizeof name - 1

struct text {
    const uint8_t *at;
    size_t size;
};

/* The columns, their names ascending, as both forms write them. */
enum { CENTRE, DATE, END, KM, NATURE, REPORT, RESULT, START, COLUMNS };
static const char *const NAMES[COLUMNS] = {"centre", "date", "end", "km", "nature", "pv", "result", "start"};
static const char *const NATURES[] = {"VTP", "VTC", "CV", "CVC", ""};
static const char *const RESULTS[] = {"A", "AP", "S", "SP", "R", "RP", "X", ""};

/* A null has no bytes at NULL. */
struct inspection {
    struct text columns[COLUMNS];
};

struct line {
    const uint8_t *at, *end;
    struct text vehicle;
    struct inspection *inspections;
    size_t count, room;
    int is_out_of_memory;
};

static int is_one_of(struct text text, const char *const *words, size_t count) {
    for (size_t at = 0; at < count; at++)
        if (strlen(words[at]) == text.size && !memcmp(words[at], text.at, text.size)) return 1;
    return 0;
}

static int is_digit(uint8_t one) { return one >= '0' && one <= '9'; }

/* Whether a text has digits where the shape has 0, and otherwise its characters. */
static int has_shape(struct text text, const char *shape) {
    if (text.size != strlen(shape)) return 0;
    for (size_t at = 0; at < text.size; at++)
        if (shape[at] == '0' ? !is_digit(text.at[at]) : text.at[at] != shape[at]) return 0;
    return 1;
}

static int read_number(const uint8_t *at, int digits) {
    int number = 0;
    while (digits--) number = 10 * number + *at++ - '0';
    return number;
}

static int is_day(struct text text) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!has_shape(text, "0000-00-00")) return 0;
    int year = read_number(text.at, 4), month = read_number(text.at + 5, 2), day = read_number(text.at + 8, 2);
    int is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < FIRST_YEAR || month < 1 || month > 12 || day < 1) return 0;
    return day <= DAYS[month - 1] + (month == 2 && is_leap);
}

static int is_clock(struct text text) {
    if (!has_shape(text, "00:00:00")) return 0;
    return read_number(text.at, 2) < 24 && read_number(text.at + 3, 2) < 60 && read_number(text.at + 6, 2) < 60;
}

/* The subject of an anonymised vehicle (carnet/passport/subject.py): plain, short and normal. */
static int is_vehicle(struct text text) {
    if (text.size < 6 || text.size > 64 || text.at[0] != 'H' || (text.at[1] != 'V' && text.at[1] != 'R')) return 0;
    for (size_t at = 2; at < text.size; at++)
        if (!is_digit(text.at[at]) && (text.at[at] < 'a' || text.at[at] > 'f')) return 0;
    return 1;
}

static void skip_blanks(struct line *line) {
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t' || *line->at == '\r' || *line->at == '\n')) line->at++;
}

static int take(struct line *line, char wanted) {
    skip_blanks(line);
    if (line->at == line->end || *line->at != wanted) return 0;
    line->at++;
    return 1;
}

static int take_text(struct line *line, struct text *text) {
    if (!take(line, '"')) return 0;
    text->at = line->at;
    for (; line->at < line->end && *line->at != '"'; line->at++)
        if (*line->at < ' ' || *line->at > '~' || *line->at == '\\') return 0;
    if (line->at == line->end) return 0;
    text->size = (size_t)(line->at++ - text->at);
    return 1;
}

static int take_null(struct line *line) {
    skip_blanks(line);
    if (line->end - line->at < 4 || memcmp(line->at, "null", 4)) return 0;
    line->at += 4;
    return 1;
}

/* Digits as they are written, so few that they are within what the column allows; -0 is 0. */
static int take_number(struct line *line, struct text *number) {
    skip_blanks(line);
    if (line->end - line->at > 1 && line->at[0] == '-' && line->at[1] == '0') line->at++;
    number->at = line->at;
    while (line->at < line->end && is_digit(*line->at)) line->at++;
    number->size = (size_t)(line->at - number->at);
    return number->size && number->size <= KM_DIGITS && (number->size == 1 || *number->at != '0');
}

static int take_column(struct line *line, int column, struct text *value) {
    int may_be_null = column == KM || column == START || column == END;
    if (may_be_null && take_null(line)) return 1;
    return column == KM ? take_number(line, value) : take_text(line, value);
}

static int is_inspection(const struct inspection *one) {
    const struct text *columns = one->columns;
    return columns[CENTRE].size <= CENTRE_LENGTH && columns[REPORT].size <= REPORT_LENGTH && is_day(columns[DATE]) &&
           (!columns[START].at || is_clock(columns[START])) && (!columns[END].at || is_clock(columns[END])) &&
           is_one_of(columns[NATURE], NATURES, sizeof NATURES / sizeof *NATURES) &&
           is_one_of(columns[RESULT], RESULTS, sizeof RESULTS / sizeof *RESULTS);
}

/* Each column once, in any order. */
static int take_inspection(struct line *line, struct inspection *one) {
    unsigned seen = 0;
    memset(one, 0, sizeof *one);
    if (!take(line, '{')) return 0;
    for (int left = COLUMNS; left; left--) {
        struct text name;
        int column = 0;
        if (!take_text(line, &name) || !take(line, ':')) return 0;
        while (column < COLUMNS && !is_one_of(name, NAMES + column, 1)) column++;
        if (column == COLUMNS || seen >> column & 1) return 0;
        seen |= 1u << column;
        if (!take_column(line, column, &one->columns[column]) || !take(line, left > 1 ? ',' : '}')) return 0;
    }
    return is_inspection(one);
}

static struct inspection *add_inspection(struct line *line) {
    if (line->count == line->room) {
        size_t room = line->room ? 2 * line->room : 8;
        struct inspection *grown = realloc(line->inspections, room * sizeof *grown);
        if (!grown) {
            line->is_out_of_memory = 1;
            return NULL;
        }
        line->inspections = grown, line->room = room;
    }
    return &line->inspections[line->count++];
}

static int take_inspections(struct line *line) {
    if (!take(line, '[')) return 0;
    if (take(line, ']')) return 1;
    do {
        struct inspection *one = add_inspection(line);
        if (!one || !take_inspection(line, one)) return 0;
    } while (take(line, ','));
    return take(line, ']');
}

static int take_line(struct line *line) {
    static const char *const VEHICLE = "vehicle", *const INSPECTIONS = "inspections";
    int has_vehicle = 0, has_inspections = 0;
    if (!take(line, '{')) return 0;
    for (int left = 2; left; left--) {
        struct text name;
        if (!take_text(line, &name) || !take(line, ':')) return 0;
        if (!has_vehicle && is_one_of(name, &VEHICLE, 1)) {
            if (!take_text(line, &line->vehicle) || !is_vehicle(line->vehicle)) return 0;
            has_vehicle = 1;
        } else if (!has_inspections && is_one_of(name, &INSPECTIONS, 1)) {
            if (!take_inspections(line)) return 0;
            has_inspections = 1;
        } else {
            return 0;
        }
        if (!take(line, left > 1 ? ',' : '}')) return 0;
    }
    skip_blanks(line);
    return line->at == line->end;
}

/* When an inspection began: its day, or "dayTclock". The bytes are `at`'s. */
static struct text join_moment(const struct inspection *one, uint8_t at[19]) {
    const struct text *day = &one->columns[DATE], *start = &one->columns[START];
    struct text moment = {at, start->at ? 19 : 10};
    memcpy(at, day->at, 10);
    if (start->at) {
        at[10] = 'T';
        memcpy(at + 11, start->at, 8);
    }
    return moment;
}

static int is_after(struct text moment, const char *latest, size_t size) {
    int compared = memcmp(moment.at, latest, moment.size < size ? moment.size : size);
    return compared ? compared > 0 : moment.size > size;
}

static uint8_t *put_filled(uint8_t *to, struct text text) {
    return text.size ? put_text(to, text.at, text.size) : put_big(to, NIL, 1);
}

/* The fields of its entry, names ascending, as MessagePack. */
static PyObject *make_fields(const struct inspection *one, struct text vehicle, struct text moment) {
    const struct text *columns = one->columns;
    uint8_t made[MAX_ROW], *to = put(made, TEXT("\x8d\xa6" "centre"));
    to = put_filled(to, columns[CENTRE]);
    to = put(to, TEXT("\xa7" "defects\xc0\xa8" "end_time"));
    to = put_filled(to, columns[END]);
    to = put(to, TEXT("\xa4kind\xb4vehicle.inspection/1\xa6nature"));
    to = put_filled(to, columns[NATURE]);
    to = put(to, TEXT("\xa8occurred\x83\xa2" "at"));
    to = put_filled(to, moment);
    if (columns[START].at) to = put(to, TEXT("\xa9precision\xa6second\xa4zone\xac" "Europe/Paris"));
    else to = put(to, TEXT("\xa9precision\xa3" "day\xa4zone\xc0"));
    to = put(to, TEXT("\xabodometer_km"));
    if (columns[KM].at) to = put_number(to, (uint64_t)read_number(columns[KM].at, (int)columns[KM].size));
    else *to++ = NIL;
    to = put(to, TEXT("\xabodometer_mi\xc0\xaeodometer_state"));
    if (columns[KM].at) to = put(to, TEXT("\xa4read"));
    else to = put(to, TEXT("\xaanot_stated"));
    to = put(to, TEXT("\xadreport_number"));
    to = put_filled(to, columns[REPORT]);
    to = put(to, TEXT("\xa6result"));
    to = put_filled(to, columns[RESULT]);
    to = put(to, TEXT("\xa7subject\x82\xa6scheme\xa8histovec\xa5value"));
    to = put_filled(to, vehicle);
    to = put(to, TEXT("\xabvalid_until\xc0"));
    return PyBytes_FromStringAndSize((const char *)made, to - made);
}

/* What stands for the row, as canonical JSON. */
static PyObject *make_source(const struct inspection *one, struct text vehicle) {
    uint8_t made[MAX_ROW], *to = put(made, TEXT("{\"inspection\":"));
    for (int column = 0; column < COLUMNS; column++) {
        struct text value = one->columns[column];
        const char *quote = column == KM || !value.at ? "" : "\"";
        *to++ = column ? ',' : '{', *to++ = '"';
        to = put(to, NAMES[column], strlen(NAMES[column]));
        *to++ = '"', *to++ = ':';
        to = put(to, quote, strlen(quote));
        to = value.at ? put(to, value.at, value.size) : put(to, TEXT("null"));
        to = put(to, quote, strlen(quote));
    }
    to = put(to, TEXT("},\"vehicle\":\""));
    to = put(to, vehicle.at, vehicle.size);
    to = put(to, TEXT("\"}"));
    return PyBytes_FromStringAndSize((const char *)made, to - made);
}

static PyObject *make_subject(struct text vehicle) {
    uint8_t made[MAX_ROW], *to = put(made, TEXT("{\"scheme\":\"histovec\",\"value\":\""));
    to = put(to, vehicle.at, vehicle.size);
    to = put(to, TEXT("\"}"));
    return PyBytes_FromStringAndSize((const char *)made, to - made);
}

/* Both lists are filled, or an error is set. */
static int make_rows(const struct line *line, PyObject *fields, PyObject *sources) {
    for (size_t at = 0; at < line->count; at++) {
        uint8_t begun[19];
        const struct inspection *one = &line->inspections[at];
        PyObject *made = make_fields(one, line->vehicle, join_moment(one, begun));
        if (!made || PyList_SetItem(fields, (Py_ssize_t)at, made) < 0) return 0;
        made = make_source(one, line->vehicle);
        if (!made || PyList_SetItem(sources, (Py_ssize_t)at, made) < 0) return 0;
    }
    return 1;
}

static PyObject *make_answer(const struct line *line) {
    PyObject *made = NULL, *subject = make_subject(line->vehicle);
    PyObject *value = PyUnicode_FromStringAndSize((const char *)line->vehicle.at, (Py_ssize_t)line->vehicle.size);
    PyObject *fields = PyList_New((Py_ssize_t)line->count), *sources = PyList_New((Py_ssize_t)line->count);
    if (subject && value && fields && sources && make_rows(line, fields, sources))
        made = PyTuple_Pack(4, value, subject, fields, sources);
    Py_XDECREF(subject), Py_XDECREF(value), Py_XDECREF(fields), Py_XDECREF(sources);
    return made;
}

static int is_any_after(const struct line *line, const char *latest, size_t size) {
    for (size_t at = 0; at < line->count; at++) {
        uint8_t begun[19];
        if (is_after(join_moment(&line->inspections[at], begun), latest, size)) return 1;
    }
    return 0;
}

static PyObject *read_inspections(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    struct line line = {0};
    Py_ssize_t size, latest_size;
    const char *latest;
    PyObject *made;
    (void)self;
    if (!check_count(count, 2) || !(line.at = get_bytes(given[0], &size))) return NULL;
    if (!PyUnicode_Check(given[1])) {
        PyErr_SetString(PyExc_TypeError, "the latest moment is a text");
        return NULL;
    }
    if (!(latest = PyUnicode_AsUTF8AndSize(given[1], &latest_size))) return NULL;
    line.end = line.at + size;
    if (take_line(&line) && !is_any_after(&line, latest, (size_t)latest_size)) made = make_answer(&line);
    else made = line.is_out_of_memory ? PyErr_NoMemory() : Py_NewRef(Py_None);
    free(line.inspections);
    return made;
}

PyMethodDef INSPECTION_METHODS[] = {
    {"read_inspections", FAST(read_inspections), METH_FASTCALL,
     "read_inspections(data, latest): the vehicle, its `cj`, the fields and the sources of a normal line, or None."},
    {NULL, NULL, 0, NULL},
};
