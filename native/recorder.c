/* What the handlers of origins/audit.py do at the commonest events, on the thread that runs the tests.

   `Recording` is the base of the Recorder there, and holds the attributes that are in use at every event. What is rare
   is left to its methods in Python: another thread, a path that is opened again, a question that is waiting. */

#include "records.h"

#include <fcntl.h>
#include <structmember.h>

/* What origins.audit gives as `_tools`. */
enum { BLOCK, FILENO, IMPORTERS, THREAD, TOOLS };

/* The attributes and methods in use of other objects, and the methods of Recorder, by name. */
#define NAMES(name) \
    name(_sign) name(_entered) name(now) name(phase) name(test) name(call) name(setup) name(teardown) \
    name(is_of_test) name(append) name(clear) name(tmp_roots) name(opening) name(on_mkdir) name(open) \
    name(_resolve) name(_add_elsewhere) name(_open_again) name(_on_open) name(_on_bind) name(_on_connect)

#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)
static PyObject *s_socket_new, *s_thread_start;

static PyTypeObject *recording_type;

int
is_recording(PyObject *object)
{
    return PyObject_TypeCheck(object, recording_type);
}

/* ---- small steps ----------------------------------------------------------------------------------------------- */

static int
one_more(PyObject **number)
{
    long value = *number == NULL ? 0 : PyLong_AsLong(*number);
    if (value == -1 && PyErr_Occurred()) {
        return -1;
    }
    PyObject *after = PyLong_FromLong(value + 1);
    if (after == NULL) {
        return -1;
    }
    Py_XSETREF(*number, after);
    return 0;
}

static int
holds_any(PyObject *list)
{
    return list != NULL && PyList_Check(list) && PyList_GET_SIZE(list) > 0;
}

static PyObject *
tool(Recording *self, int which)
{
    if (self->_tools == NULL || !PyTuple_Check(self->_tools) || PyTuple_GET_SIZE(self->_tools) != TOOLS) {
        PyErr_SetString(PyExc_TypeError, "other tools are asked for");
        return NULL;
    }
    return PyTuple_GET_ITEM(self->_tools, which); /* borrowed */
}

static int
is_ready(Recording *self)
{
    if (self->ledger == NULL || self->records == NULL || self->created == NULL || self->_opened == NULL ||
        self->_unresolved == NULL || self->_thread_records == NULL || !PyDict_Check(self->_opened) ||
        !PyDict_Check(self->_thread_records) || !PyList_Check(self->_unresolved)) {
        PyErr_SetString(PyExc_TypeError, "the recorder is not made yet");
        return 0;
    }
    return 1;
}

/* Whether as many arguments were given as are wanted, the last a frame or None. */
static int
given_all(Recording *self, PyObject *const *given, Py_ssize_t count, Py_ssize_t wanted)
{
    if (count != wanted || (given[count - 1] != Py_None && !PyFrame_Check(given[count - 1]))) {
        PyErr_Format(PyExc_TypeError, "%zd arguments, the last a frame or None", wanted);
        return 0;
    }
    return is_ready(self);
}

static PyObject *
none_unless(int failed)
{
    return failed ? NULL : Py_NewRef(Py_None);
}

/* ---- a record -------------------------------------------------------------------------------------------------- */

/* The descriptor of a new socket, and where it leads. */
static int
ask_socket(Recording *self, Record *record)
{
    PyObject *fileno = tool(self, FILENO);
    if (fileno == NULL || record->ref == NULL || record->ref == Py_None) {
        return fileno == NULL ? -1 : 0;
    }
    PyObject *sock = PyObject_CallNoArgs(record->ref);
    if (sock == NULL || sock == Py_None) {
        Py_XDECREF(sock);
        return sock == NULL ? -1 : 0;
    }
    PyObject *number = PyObject_CallOneArg(fileno, sock); /* a subclass's own is not run */
    Py_DECREF(sock);
    if (number == NULL && (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_OSError))) {
        PyErr_Clear();
        number = PyLong_FromLong(-1);
    }
    long descriptor = number == NULL ? -1 : PyLong_AsLong(number);
    Py_XDECREF(number);
    PyObject *inode = PyErr_Occurred() ? NULL : inode_of_descriptor((int)descriptor);
    if (inode == NULL) {
        return -1;
    }
    record->fd = descriptor;
    Py_XSETREF(record->inode, inode);
    return 0;
}

/* As `Recorder.resolve`. */
static int
find_out(Recording *self)
{
    if (holds_any(self->waiting) || holds_any(self->_closing)) {
        PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, s__resolve);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if (!holds_any(self->_unresolved)) {
        return 0;
    }
    PyObject *pending = self->_unresolved;
    if ((self->_unresolved = PyList_New(0)) == NULL) {
        self->_unresolved = pending;
        return -1;
    }
    int done = 0;
    for (Py_ssize_t i = 0; done == 0 && i < PyList_GET_SIZE(pending); i++) {
        PyObject *record = PyList_GET_ITEM(pending, i); /* nobody else has the list any more */
        done = Py_IS_TYPE(record, record_type) ? ask_socket(self, (Record *)record) : 0;
    }
    Py_DECREF(pending);
    return done;
}

/* The phase that pytest has written into the environment, or NULL: borrowed. */
static PyObject *
phase_in(PyObject *sign)
{
    if (!PyBytes_CheckExact(sign)) {
        return NULL;
    }
    const char *told = PyBytes_AS_STRING(sign), *opening = strrchr(told, '(');
    if (opening == NULL) {
        return NULL;
    }
    return strcmp(opening, "(call)") == 0       ? s_call
           : strcmp(opening, "(setup)") == 0    ? s_setup
           : strcmp(opening, "(teardown)") == 0 ? s_teardown
                                                : NULL;
}

int
moment_now(Recording *self, Moment *moment)
{
    memset(moment, 0, sizeof *moment);
    PyObject *ledger = is_ready(self) ? self->ledger : NULL;
    PyObject *ask = ledger == NULL ? NULL : PyObject_GetAttr(ledger, s__sign);
    PyObject *sign = ask == NULL ? NULL : PyObject_CallNoArgs(ask);
    PyObject *entered = sign == NULL ? NULL : PyObject_GetAttr(ledger, s__entered);
    PyObject *test = entered == NULL ? NULL : PyObject_GetAttr(ledger, s_test);
    PyObject *phase = sign == NULL ? NULL : phase_in(sign);
    int is_plain = test != NULL && phase != NULL && PyUnicode_CheckExact(test) && PyUnicode_GET_LENGTH(test) > 0 &&
                   PyList_Check(entered) && PyList_GET_SIZE(entered) == 0;
    int done = test == NULL ? -1 : 0;
    if (is_plain) { /* no Python code has to run for it */
        done = PyObject_SetAttr(ledger, s_phase, phase);
        moment->ledger = Py_NewRef(ledger);
        moment->test = Py_NewRef(test);
        moment->phase = Py_NewRef(phase);
    } else if (test != NULL) {
        moment->context = PyObject_GetAttr(ledger, s_now);
        done = moment->context == NULL ? -1 : 0;
    }
    Py_XDECREF(test);
    Py_XDECREF(entered);
    Py_XDECREF(sign);
    Py_XDECREF(ask);
    if (done < 0) {
        drop_moment(moment);
    }
    return done;
}

static int
block_around(Recording *self, long *block)
{
    PyObject *variable = tool(self, BLOCK), *inside = NULL;
    if (variable == NULL || PyContextVar_Get(variable, NULL, &inside) < 0) {
        return -1;
    }
    *block = inside == NULL ? 0 : PyLong_AsLong(inside);
    Py_XDECREF(inside);
    return *block == -1 && PyErr_Occurred() ? -1 : 0;
}

/* As `Recorder._add`; a new reference. */
static PyObject *
add(Recording *self, PyObject *event, PyObject *detail, PyObject *frame)
{
    if (find_out(self) < 0) {
        return NULL;
    }
    if (self->home != PyThread_get_thread_ident()) {
        return PyObject_CallMethodObjArgs((PyObject *)self, s__add_elsewhere, event, detail, frame, NULL);
    }
    Moment moment;
    Record *record = moment_now(self, &moment) < 0 ? NULL : new_record(event, detail, frame, &moment);
    if (record == NULL) {
        return NULL;
    }
    record->number = ++self->count;
    PyObject *done = block_around(self, &record->block) < 0
                         ? NULL
                         : PyObject_CallMethodOneArg(self->records, s_append, (PyObject *)record);
    Py_XDECREF(done);
    if (done == NULL) {
        Py_CLEAR(record);
    }
    return (PyObject *)record;
}

/* `add`, of what counts as a movement. */
static PyObject *
note(Recording *self, PyObject *event, PyObject *detail, PyObject *frame)
{
    PyObject *record = one_more(&self->moves) < 0 ? NULL : add(self, event, detail, frame);
    if (record != NULL && !Py_IS_TYPE(record, record_type)) {
        PyErr_SetString(PyExc_TypeError, "no record of this module");
        Py_CLEAR(record);
    }
    return record;
}

static PyObject *
add_one(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    return given_all(self, given, count, 3) ? add(self, given[0], given[1], given[2]) : NULL;
}

static PyObject *
resolve_all(Recording *self, PyObject *unused)
{
    return none_unless(find_out(self) < 0);
}

/* ---- the events ------------------------------------------------------------------------------------------------ */

/* Whether pytest cleans up what is made there; not being sure is no. */
static int
is_cleaned_up(Recording *self, PyObject *path)
{
    PyObject *roots = PyObject_GetAttr(self->created, s_tmp_roots);
    int found = roots == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; found == 0 && PyTuple_Check(roots) && i < PyTuple_GET_SIZE(roots); i++) {
        found = (int)PyUnicode_Tailmatch(path, PyTuple_GET_ITEM(roots, i), 0, PY_SSIZE_T_MAX, -1);
    }
    Py_XDECREF(roots);
    return found;
}

static int
makes(PyObject *flags)
{
    int overflow = 0;
    long bits = PyLong_CheckExact(flags) ? PyLong_AsLongAndOverflow(flags, &overflow) : 0;
    return !overflow && (bits & O_CREAT) != 0;
}

/* The same path was opened before in this test: which descriptor is that one's? */
static int
ask_for_earlier(Recording *self, PyObject *path)
{
    PyObject *earlier = PyDict_GetItemWithError(self->_opened, path);
    if (earlier == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(earlier);
    PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, s__open_again, earlier);
    Py_DECREF(earlier);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* A path that is a str is opened. */
static int
note_path(Recording *self, PyObject *record, PyObject *path, PyObject *flags)
{
    if (PyDict_SetItem(self->_opened, path, record) < 0) {
        return -1;
    }
    int passed = makes(flags) ? is_cleaned_up(self, path) : 1;
    if (passed != 0) {
        return passed < 0 ? -1 : 0;
    }
    PyObject *done = PyObject_CallMethodObjArgs(self->created, s_opening, path, record, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
open_event(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    PyObject *path, *mode, *flags, *importers = tool(self, IMPORTERS);
    if (importers == NULL || !given_all(self, given, count, 2) ||
        !PyArg_UnpackTuple(given[0], "open", 3, 3, &path, &mode, &flags)) {
        return NULL;
    }
    int is_path = PyUnicode_CheckExact(path);
    if (!is_path && !PyLong_CheckExact(path)) {
        return PyObject_CallMethodObjArgs((PyObject *)self, s__on_open, given[0], given[1], NULL);
    }
    if (runs_with(given[1], importers)) {
        Py_RETURN_NONE;
    }
    if (is_path && ask_for_earlier(self, path) < 0) {
        return NULL;
    }
    PyObject *record = note(self, s_open, path, given[1]);
    if (record == NULL) {
        return NULL;
    }
    ((Record *)record)->raw = mode == Py_None;
    int failed = is_path && note_path(self, record, path, flags) < 0;
    Py_DECREF(record);
    return none_unless(failed);
}

static PyObject *
socket_event(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    if (!given_all(self, given, count, 2)) {
        return NULL;
    }
    PyObject *sock = PySequence_GetItem(given[0], 0);
    PyObject *record = sock == NULL ? NULL : note(self, s_socket_new, Py_None, given[1]);
    int failed = record == NULL;
    if (!failed) {
        PyObject *ref = PyWeakref_NewRef(sock, NULL);
        ((Record *)record)->object_id = (unsigned long long)(uintptr_t)sock;
        if (ref != NULL) {
            Py_XSETREF(((Record *)record)->ref, ref);
            failed = PyList_Append(self->_unresolved, record) < 0;
        } else if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear(); /* a bare _socket.socket */
        } else {
            failed = 1;
        }
    }
    Py_XDECREF(record);
    Py_XDECREF(sock);
    return none_unless(failed);
}

/* What a socket is bound or connected to matters where it is a name. */
static PyObject *
on_address(Recording *self, PyObject *const *given, Py_ssize_t count, PyObject *rare)
{
    if (!given_all(self, given, count, 2)) {
        return NULL;
    }
    PyObject *address = PySequence_GetItem(given[0], 1);
    if (address == NULL) {
        return NULL;
    }
    int is_name = PyUnicode_CheckExact(address) || PyBytes_CheckExact(address);
    Py_DECREF(address);
    return is_name ? PyObject_CallMethodObjArgs((PyObject *)self, rare, given[0], given[1], NULL)
                   : none_unless(find_out(self) < 0);
}

static PyObject *
bind_event(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    return on_address(self, given, count, s__on_bind);
}

static PyObject *
connect_event(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    return on_address(self, given, count, s__on_connect);
}

static PyObject *
mkdir_event(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    if (!given_all(self, given, count, 2)) {
        return NULL;
    }
    PyObject *path = PySequence_GetItem(given[0], 0);
    if (path == NULL) {
        return NULL;
    }
    int passed = PyUnicode_CheckExact(path) ? is_cleaned_up(self, path) : 0;
    Py_DECREF(path);
    return passed != 0 ? none_unless(passed < 0)
                       : PyObject_CallMethodObjArgs(self->created, s_on_mkdir, given[0], given[1], NULL);
}

static PyObject *
thread_event(Recording *self, PyObject *const *given, Py_ssize_t count)
{
    PyObject *type = tool(self, THREAD);
    if (type == NULL || !given_all(self, given, count, 3) || one_more(&self->thread_starts) < 0) {
        return NULL;
    }
    PyObject *function = given[0];
    Record *record = (Record *)note(self, s_thread_start, Py_None, given[2]);
    if (record == NULL) {
        return NULL;
    }
    Py_SETREF(record->how, Py_NewRef(given[1]));
    PyObject *thread = PyMethod_Check(function) ? PyMethod_GET_SELF(function) : NULL;
    int failed = 0;
    if (thread != NULL && PyType_Check(type) && PyObject_TypeCheck(thread, (PyTypeObject *)type)) {
        PyObject *ref = PyWeakref_NewRef(thread, NULL);
        /* by its identity, as _real.identity has it */
        PyObject *key = ref == NULL ? NULL : PyLong_FromSsize_t(PyBaseObject_Type.tp_hash(thread));
        failed = key == NULL || PyDict_SetItem(self->_thread_records, key, (PyObject *)record) < 0;
        Py_XDECREF(key);
        Py_XSETREF(record->ref, ref);
    }
    Py_DECREF(record);
    return none_unless(failed);
}

/* ---- when a test is over --------------------------------------------------------------------------------------- */

/* Whether a record is of a test, and nobody needs it any more; -1 where that can't be told. */
static int
is_done_with(Record *record)
{
    if (!Py_IS_TYPE((PyObject *)record, record_type) || record->pinned || record->blamed) {
        return 0;
    }
    if (record->moment.context == NULL) {
        return 1; /* nobody has asked, and of a wider scope it would be there */
    }
    PyObject *is_of_test = PyObject_GetAttr(record->moment.context, s_is_of_test);
    int result = is_of_test == NULL ? -1 : PyObject_IsTrue(is_of_test);
    Py_XDECREF(is_of_test);
    return result;
}

static PyObject *
forget_all(Recording *self, PyObject *threads)
{
    Py_ssize_t kept = PyLong_AsSsize_t(threads);
    if ((kept == -1 && PyErr_Occurred()) || !is_ready(self)) {
        return NULL;
    }
    if (PyDict_GET_SIZE(self->_thread_records) > kept) {
        Py_RETURN_FALSE;
    }
    PyObject *all = PySequence_Tuple(self->records); /* any thread may add to it */
    int done = all == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; done == 1 && i < PyTuple_GET_SIZE(all); i++) {
        done = is_done_with((Record *)PyTuple_GET_ITEM(all, i));
    }
    Py_XDECREF(all);
    if (done == 1) {
        PyObject *cleared = PyObject_CallMethodNoArgs(self->records, s_clear);
        Py_XDECREF(cleared);
        done = cleared == NULL ? -1 : 1;
        PyDict_Clear(self->_opened);
        self->_lookups = 0;
    }
    return done < 0 ? NULL : PyBool_FromLong(done);
}

/* ---- the type -------------------------------------------------------------------------------------------------- */

#define EACH_OBJECT(apply) \
    apply(moves) apply(thread_starts) apply(ledger) apply(records) apply(created) apply(waiting) \
    apply(_unresolved) apply(_closing) apply(_opened) apply(_thread_records) apply(_tools)

static int
traversed(Recording *self, visitproc visit, void *arg)
{
#define VISIT(name) Py_VISIT(self->name);
    EACH_OBJECT(VISIT)
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int
cleared(Recording *self)
{
#define CLEAR(name) Py_CLEAR(self->name);
    EACH_OBJECT(CLEAR)
    return 0;
}

static void
freed(Recording *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    cleared(self);
    type->tp_free(self);
    Py_DECREF(type);
}

#define OBJECT_MEMBER(name) {#name, T_OBJECT_EX, offsetof(Recording, name), 0, NULL},

static PyMemberDef members[] = {
    EACH_OBJECT(OBJECT_MEMBER)
    {"count", T_LONG, offsetof(Recording, count), 0, NULL},
    {"home", T_ULONG, offsetof(Recording, home), 0, NULL},
    {"active", T_BOOL, offsetof(Recording, active), 0, NULL},
    {"_lookups", T_LONG, offsetof(Recording, _lookups), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

#define FAST(name) (PyCFunction)(void (*)(void))name, METH_FASTCALL

static PyMethodDef methods[] = {
    {"add", FAST(add_one), "add(event, detail, frame)\n--\n\nAs Recorder._add."},
    {"resolve_all", (PyCFunction)resolve_all, METH_NOARGS, "resolve_all()\n--\n\nAs Recorder._resolve."},
    {"open_event", FAST(open_event), "open_event(args, frame)\n--\n\nAs Recorder._on_open."},
    {"socket_event", FAST(socket_event), "socket_event(args, frame)\n--\n\nAs Recorder._on_socket."},
    {"bind_event", FAST(bind_event), "bind_event(args, frame)\n--\n\nAs Recorder._on_bind."},
    {"connect_event", FAST(connect_event), "connect_event(args, frame)\n--\n\nAs Recorder._on_connect."},
    {"mkdir_event", FAST(mkdir_event), "mkdir_event(args, frame)\n--\n\nAs CreatedPaths.on_mkdir."},
    {"thread_event", FAST(thread_event), "thread_event(function, how, frame)\n--\n\nAs Recorder.thread_starting."},
    {"forget_all", (PyCFunction)forget_all, METH_O,
     "forget_all(threads)\n--\n\nAs Recorder.forget where each record is of a test, and neither pinned nor blamed.\n\n"
     "Returns: whether it was so."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The part of origins.audit.Recorder that is in use at every event."},
    {Py_tp_dealloc, freed},
    {Py_tp_traverse, traversed},
    {Py_tp_clear, cleared},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "pytest_leakguard._native.Recording",
    .basicsize = sizeof(Recording),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int
add_recording_type(PyObject *module)
{
    if (recording_type == NULL) {
#define INTERN(name) \
    if ((s_##name = PyUnicode_InternFromString(#name)) == NULL) { \
        return -1; \
    }
        NAMES(INTERN)
        s_socket_new = PyUnicode_InternFromString("socket.__new__");
        s_thread_start = PyUnicode_InternFromString("thread start");
        if (s_socket_new == NULL || s_thread_start == NULL) {
            return -1;
        }
        recording_type = (PyTypeObject *)PyType_FromSpec(&spec);
    }
    return recording_type == NULL ? -1 : PyModule_AddObjectRef(module, "Recording", (PyObject *)recording_type);
}
