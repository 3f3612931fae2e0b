/* What runs at every event, frame and descriptor of other people's tests.

   All of it exists in Python too, in the module named at the head of each file, which is used where this was not built;
   here it costs a tenth. It decides nothing: which events are told, where a stack ends and which descriptors are asked
   for is said by the Python code. */

#ifndef LEAKGUARD_NATIVE_H
#define LEAKGUARD_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

#ifdef Py_GIL_DISABLED
#error "it relies on the global lock; without it Python does the work"
#endif

/* Each file: what it adds to the module, and what it gives back at the end of the interpreter. */
extern PyMethodDef event_methods[], stack_methods[], descriptor_methods[], record_methods[];
void forget_events(PyObject *module);
void forget_stacks(void);

/* What the record asks of the others; new references, or NULL with an error set. */
PyObject *stack_of(PyObject *frame);          /* origins.frames.walk */
PyObject *inode_of_descriptor(int descriptor); /* origins.record.inode_of */
int runs_with(PyObject *frame, PyObject *modules); /* whether the globals of a frame are among those */

int prepare_records(void);

#endif
