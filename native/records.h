/* The two types of records.c and recorder.c. */

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

extern PyTypeObject *record_type;

/* A record of what the code of `frame` does. */
Record *new_record(PyObject *event, PyObject *detail, PyObject *frame, PyObject *context);

int add_record_type(PyObject *module);
int add_recording_type(PyObject *module);

#endif
