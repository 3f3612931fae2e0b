/* Stacks, as origins/frames.py walks them, but without the audit event that asking a frame for its code raises. */

#include "native.h"

static PyObject *end;     /* the globals of the module whose frames are not told any more, or NULL */
static PyObject *callers; /* pairs of globals and the entry that stands for the first frame that has them, or NULL */
static int depth = MOST_ENTRIES;

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

static void
take_entry(Entry *entry, PyObject *code, long instruction)
{
    entry->code = code;
    entry->instruction = instruction;
}

int
walk_stack(PyObject *from, Entry *entries)
{
    int found = 0;
    PyFrameObject *frame = from == Py_None ? NULL : (PyFrameObject *)Py_NewRef(from);
    Py_ssize_t others = callers == NULL ? 0 : PyTuple_GET_SIZE(callers);
    while (frame != NULL && found < depth) {
        PyObject *names = globals_of(frame), *caller = NULL;
        Py_DECREF(names); /* the frame keeps it */
        if (names == end) {
            break;
        }
        for (Py_ssize_t i = 0; i < others && found > 0 && caller == NULL; i++) {
            PyObject *pair = PyTuple_GET_ITEM(callers, i);
            if (PyTuple_GET_ITEM(pair, 0) == names) {
                caller = PyTuple_GET_ITEM(pair, 1);
            }
        }
        if (caller != NULL) {
            take_entry(&entries[found++], Py_NewRef(PyTuple_GET_ITEM(caller, 0)),
                       PyLong_AsLong(PyTuple_GET_ITEM(caller, 1)));
            break;
        }
        take_entry(&entries[found++], (PyObject *)PyFrame_GetCode(frame), instruction_of(frame));
        Py_SETREF(frame, PyFrame_GetBack(frame));
    }
    Py_XDECREF(frame);
    return found;
}

PyObject *
stack_from(const Entry *entries, int count)
{
    PyObject *stack = PyTuple_New(count);
    for (int i = 0; stack != NULL && i < count; i++) {
        PyObject *entry = Py_BuildValue("(Ol)", entries[i].code, entries[i].instruction);
        if (entry == NULL) {
            Py_CLEAR(stack);
        } else {
            PyTuple_SET_ITEM(stack, i, entry);
        }
    }
    return stack;
}

void
drop_entries(Entry *entries, int count)
{
    for (int i = 0; i < count; i++) {
        Py_DECREF(entries[i].code);
    }
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

PyDoc_STRVAR(walk_doc, "walk(frame)\n--\n\n"
             "The stack from `frame` outwards, or from None, as origins.frames.walk tells it.");

static PyObject *
walk(PyObject *module, PyObject *frame)
{
    if (frame != Py_None && !PyFrame_Check(frame)) {
        PyErr_SetString(PyExc_TypeError, "no frame");
        return NULL;
    }
    Entry entries[MOST_ENTRIES];
    int count = walk_stack(frame, entries);
    PyObject *stack = stack_from(entries, count);
    drop_entries(entries, count);
    return stack;
}

PyDoc_STRVAR(end_stacks_doc, "end_stacks(end, callers, depth)\n--\n\n"
             "Where stacks end from now on.\n\n"
             "end: None, or the globals of the module whose frames are not told any more. callers: pairs of globals\n"
             "and the entry that stands for the first frame that has them, unless it is the innermost. depth: entries\n"
             "at most, no more than 64.");

static PyObject *
end_stacks(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 3 || !PyTuple_Check(given[1]) || !PyLong_Check(given[2])) {
        PyErr_SetString(PyExc_TypeError, "end_stacks(end, callers, depth)");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given[1]); i++) {
        PyObject *names, *code;
        long instruction;
        PyObject *pair = PyTuple_GET_ITEM(given[1], i);
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "callers: pairs");
            return NULL;
        }
        if (!PyArg_ParseTuple(pair, "O(Ol)", &names, &code, &instruction)) {
            return NULL;
        }
    }
    long entries = PyLong_AsLong(given[2]);
    if (entries < 0 || entries > MOST_ENTRIES) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "a depth from 0 to %d", MOST_ENTRIES);
        }
        return NULL;
    }
    depth = (int)entries;
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
