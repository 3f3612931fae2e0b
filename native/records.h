/* The types of moments.c, records.c and recorder.c. */

#ifndef LEAKGUARD_RECORDS_H
#define LEAKGUARD_RECORDS_H

#include "native.h"

/* Who owns what is acquired now, and the code that does it: as a Context and a stack, or what these are made of when
   somebody asks. */
typedef struct {
    PyObject *context;               /* or NULL: then the test and its phase, */
    PyObject *ledger, *test, *phase; /* and the ledger that makes a context of them */
    PyObject *stack;                 /* a tuple, or NULL: then the frames as they were */
    Entry *entries;
    int count;
} Moment;

/* New references, or NULL with an error set. */
PyObject *context_of(Moment *moment);
PyObject *stack_in(Moment *moment);
/* Takes the entries over; -1 with an error set. */
int keep_entries(Moment *moment, Entry *entries, int count);
void drop_moment(Moment *moment);

/* origins.record.Record. Nothing that it holds leads back to it, so the collector need not know of it. */
typedef struct {
    PyObject_HEAD
    PyObject *event, *detail;
    Moment moment;
    PyObject *how, *ref, *inode, *created, *renamed;
    unsigned long long object_id;
    long fd, number, block;
    double when;
    char raw, over, pinned, blamed, spent;
} Record;

/* The base of origins.audit.Recorder: what is in use at every event. */
typedef struct {
    PyObject_HEAD
    PyObject *moves, *thread_starts; /* numbers that Python reads much */
    PyObject *ledger, *records, *created, *waiting;
    PyObject *_unresolved, *_closing, *_opened, *_thread_records, *_tools;
    long count, _lookups;
    unsigned long home;
    char active;
} Recording;

extern PyTypeObject *record_type;

/* A record of what the code of `frame` does; takes the moment over. */
Record *new_record(PyObject *event, PyObject *detail, PyObject *frame, Moment *moment);

/* As `Ledger.now`. Returns -1 with an error set where it fails. */
int moment_now(Recording *self, Moment *moment);
int is_recording(PyObject *object);

int prepare_moments(void);
int add_record_type(PyObject *module);
int add_recording_type(PyObject *module);
int add_nursery_types(PyObject *module);

#endif
