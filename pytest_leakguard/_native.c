/* The part of the plugin that runs at every event, frame and descriptor of other people's tests.

   All of it exists in Python too (origins/hook.py, origins/frames.py, probes/descriptors.py), which is used where this
   was not built; here it costs a tenth. It decides nothing: which events are told, where a stack ends and which
   descriptors are asked for is said by the Python code. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

#include <string.h>
#include <sys/stat.h>

/* ---- audit events: a hook that looks at the name before Python is called ------------------------------------- */

/* An audit hook can't be removed, so all this is there once for the process. Names are only ever added, and are
   switched on and off: another interpreter may be reading. */
typedef struct {
    const char *name; /* owned by `text` */
    PyObject *text;
    int is_told;
    unsigned long said; /* by which call of `tell`, last */
} Event;

#define SLOTS 1024 /* a power of two; CPython itself knows some hundred names */
#define KEPT_FREE (SLOTS / 4)

static Event events[SLOTS];
static int names_kept;
static unsigned long said;
static PyObject *told; /* the Python hook, while the module lives */
static PyInterpreterState *home;

static size_t
slot_of(const char *name)
{
    /* FNV-1a */
    unsigned int hash = 2166136261u;
    for (const char *c = name; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    }
    size_t slot = hash & (SLOTS - 1);
    while (events[slot].name != NULL && strcmp(events[slot].name, name) != 0) {
        slot = (slot + 1) & (SLOTS - 1);
    }
    return slot;
}

static PyThreadState *
this_thread(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* No tracer or profiler sees our code at work, as Python does it for hooks written in Python. */
static void
stop_tracing(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030b0000
    PyThreadState_EnterTracing(thread);
#else
    thread->tracing++;
    thread->cframe->use_tracing = 0;
#endif
}

static void
resume_tracing(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030b0000
    PyThreadState_LeaveTracing(thread);
#else
    thread->tracing--;
    thread->cframe->use_tracing = thread->c_tracefunc != NULL || thread->c_profilefunc != NULL;
#endif
}

static int
on_event(const char *name, PyObject *args, void *unused)
{
    Event *event = &events[slot_of(name)];
    if (!event->is_told || told == NULL) {
        return 0;
    }
    PyThreadState *thread = this_thread();
    if (thread == NULL || PyThreadState_GetInterpreter(thread) != home) {
        return 0; /* a subinterpreter's: its objects are not ours to touch */
    }
    PyObject *hook = Py_NewRef(told);
    PyObject *call[] = {event->text, args};
    stop_tracing(thread);
    PyObject *done = PyObject_Vectorcall(hook, call, 2, NULL);
    resume_tracing(thread);
    Py_DECREF(hook);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyDoc_STRVAR(add_hook_doc, "add_hook(hook)\n--\n\n"
             "Have hook(event, args) called at the audit events that `tell` names; once in a process.\n\n"
             "Raises: RuntimeError when it was said before.");

static PyObject *
add_hook(PyObject *module, PyObject *hook)
{
    if (told != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "there is a hook already");
        return NULL;
    }
    told = Py_NewRef(hook);
    home = PyInterpreterState_Get();
    if (PySys_AddAuditHook(on_event, NULL) < 0) {
        Py_CLEAR(told);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(tell_doc, "tell(names)\n--\n\n"
             "From now on the hook is told of the events of these names, and of no others.\n\n"
             "Raises: OverflowError when too many different names were given in all.");

static PyObject *
tell(PyObject *module, PyObject *names)
{
    PyObject *given = PySequence_Fast(names, "names of events");
    if (given == NULL) {
        return NULL;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(given);
    said++;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *text = PySequence_Fast_GET_ITEM(given, i);
        const char *name = PyUnicode_AsUTF8(text);
        if (name == NULL) {
            goto failed;
        }
        Event *event = &events[slot_of(name)];
        if (event->name == NULL) {
            if (names_kept == SLOTS - KEPT_FREE) {
                PyErr_SetString(PyExc_OverflowError, "too many names of events");
                goto failed;
            }
            names_kept++;
            event->text = Py_NewRef(text); /* and with it the name, for good */
            event->name = name;
        }
        event->is_told = 1;
        event->said = said;
    }
    /* last, so that no event is missed that is told before and after */
    for (size_t i = 0; i < SLOTS; i++) {
        if (events[i].said != said) {
            events[i].is_told = 0;
        }
    }
    Py_DECREF(given);
    Py_RETURN_NONE;
failed:
    Py_DECREF(given);
    return NULL;
}

/* ---- stacks: without the audit event that asking a frame for its code raises --------------------------------- */

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

PyDoc_STRVAR(walk_doc, "walk(frame, end, callers, depth)\n--\n\n"
             "The stack from `frame` outwards, as origins.frames.walk tells it.\n\n"
             "frame: or None. end: the globals of the module whose frames are not told any more. callers: pairs of\n"
             "globals and the entry that stands for the first frame that has them. depth: entries at most.");

static PyObject *
walk(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4 || !PyTuple_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "walk(frame, end, callers, depth)");
        return NULL;
    }
    PyObject *end = args[1], *callers = args[2];
    Py_ssize_t depth = PyLong_AsSsize_t(args[3]);
    if (depth == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (args[0] != Py_None && !PyFrame_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "no frame");
        return NULL;
    }
    PyObject *stack = PyList_New(0);
    if (stack == NULL) {
        return NULL;
    }
    PyFrameObject *frame = args[0] == Py_None ? NULL : (PyFrameObject *)Py_NewRef(args[0]);
    while (frame != NULL && PyList_GET_SIZE(stack) < depth) {
        PyObject *names = globals_of(frame);
        Py_DECREF(names); /* the frame keeps it */
        if (names == end) {
            break;
        }
        PyObject *entry = NULL;
        int is_last = 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(callers) && PyList_GET_SIZE(stack) > 0; i++) {
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
    PyObject *told_stack = PyList_AsTuple(stack);
    Py_DECREF(stack);
    return told_stack;
}

/* ---- descriptors: without an object for each thing that the kernel tells --------------------------------------- */

PyDoc_STRVAR(size_of_doc, "size_of(path)\n--\n\n"
             "The size of a file in bytes, of a folder of /proc/.../fd how many descriptors are open.\n\n"
             "Raises: OSError.");

static PyObject *
size_of(PyObject *module, PyObject *path)
{
    struct stat status;
    const char *name = PyUnicode_AsUTF8(path);
    if (name == NULL) {
        return NULL;
    }
    if (stat(name, &status) != 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromLongLong((long long)status.st_size);
}

PyDoc_STRVAR(inode_of_doc, "inode_of(number)\n--\n\nDevice and inode of an open descriptor, or None.");

static PyObject *
inode_of(PyObject *module, PyObject *number)
{
    struct stat status;
    int failed, given = PyLong_AsLong(number);
    if (given == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS /* a file system may be slow to answer */
    failed = fstat(given, &status);
    Py_END_ALLOW_THREADS
    if (failed) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("KK", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
}

PyDoc_STRVAR(is_still_doc, "is_still(picture)\n--\n\n"
             "Whether each descriptor still leads to the same file.\n\n"
             "picture: for each three 64-bit numbers, the descriptor, its device and its inode.");

static PyObject *
is_still(PyObject *module, PyObject *picture)
{
    Py_buffer seen;
    if (PyObject_GetBuffer(picture, &seen, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    int same = 1;
    Py_BEGIN_ALLOW_THREADS /* a file system may be slow to answer */
    const char *at = seen.buf;
    for (Py_ssize_t left = seen.len; same && left >= 24; left -= 24, at += 24) {
        uint64_t known[3];
        struct stat status;
        memcpy(known, at, sizeof known);
        same = fstat((int)known[0], &status) == 0 && (uint64_t)status.st_dev == known[1] &&
               (uint64_t)status.st_ino == known[2];
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&seen);
    return PyBool_FromLong(same);
}

/* ---- the module ------------------------------------------------------------------------------------------------ */

static int
is_for_main_interpreter(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "only for the main interpreter");
        return -1;
    }
    return 0;
}

static void
forget_hook(void *module)
{
    /* at the end of the interpreter: the hook itself stays, and tells nobody any more */
    if (PyInterpreterState_Get() == home) {
        Py_CLEAR(told);
    }
}

static PyMethodDef methods[] = {
    {"add_hook", add_hook, METH_O, add_hook_doc},
    {"tell", tell, METH_O, tell_doc},
    {"walk", (PyCFunction)(void (*)(void))walk, METH_FASTCALL, walk_doc},
    {"size_of", size_of, METH_O, size_of_doc},
    {"inode_of", inode_of, METH_O, inode_of_doc},
    {"is_still", is_still, METH_O, is_still_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, is_for_main_interpreter},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pytest_leakguard._native",
    .m_doc = "What runs at every event, frame and descriptor, in C.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
    .m_free = forget_hook,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
