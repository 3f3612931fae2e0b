/* The types of records.c and recorder.c. */

#ifndef LEAKGUARD_RECORDS_H
#define LEAKGUARD_RECORDS_H

#include "native.h"

/* origins.record.Record. Nothing that it holds leads back to it, so the collector need not know of it. */
typedef struct {
    PyObject_HEAD
    PyObject *event, *detail, *context;
    PyObject *stack; /* as a tuple, once somebody has asked */
    Entry *entries;  /* or NULL, when it was given as a tuple */
    int entries_count;
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

/* A record of what the code of `frame` does. */
Record *new_record(PyObject *event, PyObject *detail, PyObject *frame, PyObject *context);

/* As `Ledger.now`: who owns what is acquired at this moment. */
PyObject *context_now(Recording *self);
int is_recording(PyObject *object);

int add_record_type(PyObject *module);
int add_recording_type(PyObject *module);
int add_nursery_types(PyObject *module);

#endif
