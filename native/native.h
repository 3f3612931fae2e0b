/* What runs at every event, frame, descriptor and watched instance of other people's tests.

   All of it exists in Python too, in the module named at the head of each file, which is used where this was not built;
   here it costs a tenth. It knows no rule that the Python code does not have, and leaves to that what is rare. */

#ifndef LEAKGUARD_NATIVE_H
#define LEAKGUARD_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

#ifdef Py_GIL_DISABLED
#error "it relies on the global lock; without it Python does the work"
#endif

/* Each file: what it adds to the module, what it makes ready once, and what it gives back at the end. */
extern PyMethodDef event_methods[], stack_methods[], descriptor_methods[], look_methods[], nursery_methods[];
int prepare_descriptors(void);
int prepare_looks(void);
void forget_events(PyObject *module);
void forget_stacks(void);

/* A frame as it was. */
typedef struct {
    PyObject *code;
    long instruction;
} Entry;

#define MOST_ENTRIES 64

/* As origins.frames.walk: fills in at most MOST_ENTRIES from `frame`, or None, outwards. Returns: how many. */
int walk_stack(PyObject *frame, Entry *entries);
PyObject *stack_from(const Entry *entries, int count);
void drop_entries(Entry *entries, int count);
/* Whether the globals of a frame are among those modules. */
int runs_with(PyObject *frame, PyObject *modules);
/* As origins.record.inode_of. */
PyObject *inode_of_descriptor(int descriptor);

#endif
