/* The audit hook of the process, as origins/hook.py has it: it looks at the name before anything else is asked. */

#include "native.h"

#include <string.h>

/* An audit hook can't be removed, so all this is there once for the process. Names are only ever added; the handler of
   one comes and goes. */
typedef struct {
    const char *name; /* owned by `text` */
    PyObject *text;
    PyObject *handler; /* or NULL: nobody listens */
} Event;

#define SLOTS 1024 /* a power of two; CPython itself knows some hundred names */
#define KEPT_FREE (SLOTS / 4)

static Event events[SLOTS];
static int names_kept;
static PyObject *failed;  /* told of an error of a handler, while the module lives that added the hook */
static PyObject *instead; /* called in place of all handlers, and may raise; or NULL */
static PyInterpreterState *home;
static unsigned long hushed; /* the thread whose events are left out */
static PyObject *event_owner; /* the module that added the hook: borrowed, its end is told */

static size_t
slot_of(const char *name)
{
    /* a test raises a hundred events, and we want few of them: the length and three letters tell nearly all apart */
    size_t length = strlen(name);
    unsigned int hash = (unsigned int)length * 31;
    if (length > 0) {
        hash += (unsigned char)name[0] + (unsigned char)name[length / 2] * 17u + (unsigned char)name[length - 1] * 113u;
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

/* An error of ours must never come out of the user's call: it is told elsewhere. -1 for what is no Exception. */
static int
keep_error(void)
{
    if (failed == NULL || !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *error = PyErr_GetRaisedException();
#else
    PyObject *kind, *error, *traceback;
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    Py_XDECREF(kind);
    Py_XDECREF(traceback);
#endif
    PyObject *done = PyObject_CallOneArg(failed, error);
    Py_DECREF(error);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
on_event(const char *name, PyObject *args, void *unused)
{
    Event *event = &events[slot_of(name)];
    if (event->handler == NULL) {
        return 0;
    }
    PyThreadState *thread = this_thread();
    if (thread == NULL || PyThreadState_GetInterpreter(thread) != home) {
        return 0; /* a subinterpreter's: its objects are not ours to touch */
    }
    if (hushed == PyThread_get_thread_ident()) {
        return 0;
    }
    PyObject *frame = (PyObject *)PyEval_GetFrame();
    frame = Py_NewRef(frame == NULL ? Py_None : frame);
    PyObject *done;
    int result = 0;
    stop_tracing(thread);
    if (instead == NULL) {
        PyObject *handler = Py_NewRef(event->handler); /* which may be taken away at any call */
        PyObject *call[] = {args, frame};
        done = PyObject_Vectorcall(handler, call, 2, NULL);
        Py_DECREF(handler);
        if (done == NULL) {
            result = keep_error();
        }
    } else {
        PyObject *asked = Py_NewRef(instead);
        PyObject *call[] = {event->text, args, frame};
        done = PyObject_Vectorcall(asked, call, 3, NULL);
        Py_DECREF(asked);
        result = done == NULL ? -1 : 0;
    }
    resume_tracing(thread);
    Py_DECREF(frame);
    Py_XDECREF(done);
    return result;
}

PyDoc_STRVAR(add_hook_doc, "add_hook(failed)\n--\n\n"
             "Have the events handled that `feed` names; once in a process. `failed` hears of a handler's error.\n\n"
             "Raises: RuntimeError when it was said before.");

static PyObject *
add_hook(PyObject *module, PyObject *teller)
{
    if (failed != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "there is a hook already");
        return NULL;
    }
    failed = Py_NewRef(teller);
    home = PyInterpreterState_Get();
    if (PySys_AddAuditHook(on_event, NULL) < 0) {
        Py_CLEAR(failed);
        return NULL;
    }
    event_owner = module;
    Py_RETURN_NONE;
}

/* The slot of a name, taken when it is new; NULL with an error set. */
static Event *
keep_name(PyObject *text)
{
    const char *name = PyUnicode_AsUTF8(text);
    if (name == NULL) {
        return NULL;
    }
    Event *event = &events[slot_of(name)];
    if (event->name == NULL) {
        if (names_kept == SLOTS - KEPT_FREE) {
            PyErr_SetString(PyExc_OverflowError, "too many names of events");
            return NULL;
        }
        names_kept++;
        event->text = Py_NewRef(text); /* and with it the name, for good */
        event->name = name;
    }
    return event;
}

PyDoc_STRVAR(feed_doc, "feed(handlers, instead)\n--\n\n"
             "From now on each handler is called at its event, as handler(args, frame), and no other.\n\n"
             "handlers: a dict by the names of the events. instead: None, or called in place of each handler, as\n"
             "instead(event, args, frame): its errors come out of what raised the event, those of handlers do not.\n"
             "Raises: OverflowError when too many different names were given in all.");

static PyObject *
feed(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 2 || !PyDict_Check(given[0])) {
        PyErr_SetString(PyExc_TypeError, "feed(handlers, instead)");
        return NULL;
    }
    PyObject *name, *handler;
    for (Py_ssize_t at = 0; PyDict_Next(given[0], &at, &name, &handler);) {
        if (keep_name(name) == NULL) {
            return NULL; /* as it was */
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (events[i].name != NULL) {
            handler = PyDict_GetItemWithError(given[0], events[i].text);
            if (handler == NULL && PyErr_Occurred()) {
                return NULL;
            }
            Py_XINCREF(handler);
            Py_XSETREF(events[i].handler, handler);
        }
    }
    Py_XSETREF(instead, given[1] == Py_None ? NULL : Py_NewRef(given[1]));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(hush_doc, "hush()\n--\n\nThe events of this thread are left out: give the result to `unhush`.");

static PyObject *
hush(PyObject *module, PyObject *unused)
{
    unsigned long before = hushed;
    hushed = PyThread_get_thread_ident();
    return PyLong_FromUnsignedLong(before);
}

PyDoc_STRVAR(unhush_doc, "unhush(before)\n--\n\nEnd of `hush`.");

static PyObject *
unhush(PyObject *module, PyObject *before)
{
    unsigned long ident = PyLong_AsUnsignedLong(before);
    if (ident == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    hushed = ident;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(is_hushed_doc, "is_hushed()\n--\n\nWhether the events of this thread are left out.");

static PyObject *
is_hushed(PyObject *module, PyObject *unused)
{
    return PyBool_FromLong(hushed == PyThread_get_thread_ident());
}

void
forget_events(PyObject *module)
{
    /* the hook itself stays, and tells nobody any more */
    if (module != event_owner) {
        return;
    }
    event_owner = NULL;
    for (size_t i = 0; i < SLOTS; i++) {
        Py_CLEAR(events[i].handler);
    }
    Py_CLEAR(instead);
    Py_CLEAR(failed);
}

PyMethodDef event_methods[] = {
    {"add_hook", add_hook, METH_O, add_hook_doc},
    {"feed", (PyCFunction)(void (*)(void))feed, METH_FASTCALL, feed_doc},
    {"hush", hush, METH_NOARGS, hush_doc},
    {"unhush", unhush, METH_O, unhush_doc},
    {"is_hushed", is_hushed, METH_NOARGS, is_hushed_doc},
    {NULL, NULL, 0, NULL},
};
