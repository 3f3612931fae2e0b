/* Who acquired something, and where: kept as it was found, for few are ever asked. */

#include "records.h"

#include <string.h>

static PyObject *s_context_of;

int
prepare_moments(void)
{
    if (s_context_of == NULL) {
        s_context_of = PyUnicode_InternFromString("context_of");
    }
    return s_context_of == NULL ? -1 : 0;
}

PyObject *
context_of(Moment *moment)
{
    if (moment->context == NULL) {
        /* Python code runs, and another thread may ask for the same meanwhile */
        PyObject *ledger = Py_NewRef(moment->ledger);
        PyObject *test = Py_NewRef(moment->test), *phase = Py_NewRef(moment->phase);
        PyObject *context = PyObject_CallMethodObjArgs(ledger, s_context_of, test, phase, NULL);
        Py_DECREF(ledger);
        Py_DECREF(test);
        Py_DECREF(phase);
        if (context == NULL) {
            return NULL;
        }
        Py_XSETREF(moment->context, context);
        Py_CLEAR(moment->ledger);
        Py_CLEAR(moment->test);
        Py_CLEAR(moment->phase);
    }
    return Py_NewRef(moment->context);
}

PyObject *
stack_in(Moment *moment)
{
    if (moment->stack == NULL) {
        PyObject *stack = stack_from(moment->entries, moment->count);
        if (stack == NULL) {
            return NULL;
        }
        Py_XSETREF(moment->stack, stack);
    }
    return Py_NewRef(moment->stack);
}

int
keep_entries(Moment *moment, Entry *entries, int count)
{
    size_t size = (size_t)count * sizeof(Entry);
    Entry *kept = PyMem_Malloc(size ? size : 1);
    if (kept == NULL) {
        drop_entries(entries, count);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(kept, entries, size);
    moment->entries = kept;
    moment->count = count;
    return 0;
}

void
drop_moment(Moment *moment)
{
    Py_CLEAR(moment->context);
    Py_CLEAR(moment->ledger);
    Py_CLEAR(moment->test);
    Py_CLEAR(moment->phase);
    Py_CLEAR(moment->stack);
    if (moment->entries != NULL) {
        drop_entries(moment->entries, moment->count);
        PyMem_Free(moment->entries);
        moment->entries = NULL;
        moment->count = 0;
    }
}
