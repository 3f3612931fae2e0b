/* Stacks, as origins/frames.py walks them, but without the audit event that asking a frame for its code raises. */

#include "native.h"

static PyObject *end;     /* the globals of the module whose frames are not told any more, or NULL */
static PyObject *callers; /* pairs of globals and the entry that stands for the first frame that has them, or NULL */
static Py_ssize_t depth = 64;

static PyObject *
globals_of(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030b0000
    return PyFrame_GetGlobals(frame);
#else
    return Py_NewRef(frame->f_globals);
#endif
}

static long
instruction_of(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030b0000
    return PyFrame_GetLasti(frame);
#else
    return frame->f_lasti < 0 ? -1 : frame->f_lasti * 2L; /* in bytes, as f_lasti of Python */
#endif
}

/* One frame as (code, instruction). */
static PyObject *
entry_of(PyFrameObject *frame)
{
    PyObject *lasti = PyLong_FromLong(instruction_of(frame));
    if (lasti == NULL) {
        return NULL;
    }
    PyObject *entry = PyTuple_New(2);
    if (entry == NULL) {
        Py_DECREF(lasti);
        return NULL;
    }
    PyTuple_SET_ITEM(entry, 0, (PyObject *)PyFrame_GetCode(frame));
    PyTuple_SET_ITEM(entry, 1, lasti);
    return entry;
}

PyObject *
stack_of(PyObject *from)
{
    PyObject *stack = PyList_New(0);
    if (stack == NULL) {
        return NULL;
    }
    PyFrameObject *frame = from == Py_None ? NULL : (PyFrameObject *)Py_NewRef(from);
    Py_ssize_t others = callers == NULL ? 0 : PyTuple_GET_SIZE(callers);
    while (frame != NULL && PyList_GET_SIZE(stack) < depth) {
        PyObject *names = globals_of(frame);
        Py_DECREF(names); /* the frame keeps it */
        if (names == end) {
            break;
        }
        PyObject *entry = NULL;
        int is_last = 0;
        for (Py_ssize_t i = 0; i < others && PyList_GET_SIZE(stack) > 0; i++) {
            PyObject *caller = PyTuple_GET_ITEM(callers, i);
            if (PyTuple_GET_ITEM(caller, 0) == names) {
                entry = Py_NewRef(PyTuple_GET_ITEM(caller, 1));
                is_last = 1;
                break;
            }
        }
        if (entry == NULL) {
            entry = entry_of(frame);
        }
        if (entry == NULL || PyList_Append(stack, entry) < 0) {
            Py_XDECREF(entry);
            Py_DECREF(frame);
            Py_DECREF(stack);
            return NULL;
        }
        Py_DECREF(entry);
        if (is_last) {
            break;
        }
        Py_SETREF(frame, PyFrame_GetBack(frame));
    }
    Py_XDECREF(frame);
    PyObject *told = PyList_AsTuple(stack);
    Py_DECREF(stack);
    return told;
}

int
runs_with(PyObject *frame, PyObject *modules)
{
    if (frame == Py_None) {
        return 0;
    }
    PyObject *names = globals_of((PyFrameObject *)frame);
    Py_DECREF(names); /* the frame keeps it */
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(modules); i++) {
        if (PyTuple_GET_ITEM(modules, i) == names) {
            return 1;
        }
    }
    return 0;
}

PyDoc_STRVAR(walk_doc, "walk(frame)\n--\n\nThe stack from `frame` outwards, or from None, as origins.frames.walk tells it.");

static PyObject *
walk(PyObject *module, PyObject *frame)
{
    if (frame != Py_None && !PyFrame_Check(frame)) {
        PyErr_SetString(PyExc_TypeError, "no frame");
        return NULL;
    }
    return stack_of(frame);
}

PyDoc_STRVAR(end_stacks_doc, "end_stacks(end, callers, depth)\n--\n\n"
             "Where stacks end from now on.\n\n"
             "end: None, or the globals of the module whose frames are not told any more. callers: pairs of globals\n"
             "and the entry that stands for the first frame that has them, unless it is the innermost. depth: entries\n"
             "at most.");

static PyObject *
end_stacks(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 3 || !PyTuple_Check(given[1]) || !PyLong_Check(given[2])) {
        PyErr_SetString(PyExc_TypeError, "end_stacks(end, callers, depth)");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given[1]); i++) {
        PyObject *pair = PyTuple_GET_ITEM(given[1], i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "callers: pairs");
            return NULL;
        }
    }
    Py_ssize_t entries = PyLong_AsSsize_t(given[2]);
    if (entries == -1 && PyErr_Occurred()) {
        return NULL;
    }
    depth = entries;
    Py_XSETREF(end, given[0] == Py_None ? NULL : Py_NewRef(given[0]));
    Py_XSETREF(callers, Py_NewRef(given[1]));
    Py_RETURN_NONE;
}

void
forget_stacks(void)
{
    Py_CLEAR(end);
    Py_CLEAR(callers);
}

PyMethodDef stack_methods[] = {
    {"walk", walk, METH_O, walk_doc},
    {"end_stacks", (PyCFunction)(void (*)(void))end_stacks, METH_FASTCALL, end_stacks_doc},
    {NULL, NULL, 0, NULL},
};
