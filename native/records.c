/* What the handlers of origins/audit.py do at the commonest events, on the thread that runs the tests.

   The first argument of each is the Recorder, whose attributes are read and written as the Python code does it. What
   is rare is left to that code: another thread, a path that is opened again, a question that is waiting. */

#include "native.h"

#include <fcntl.h>

/* The attributes and methods in use, by name. */
#define NAMES(name) \
    name(moves) name(thread_starts) name(count) name(home) name(ledger) name(records) name(created) name(waiting) \
    name(tmp_roots) name(now) name(_resolve) name(opening) name(on_mkdir) name(append) \
    name(event) name(detail) name(stack) name(context) name(number) name(block) name(raw) name(ref) name(object_id) \
    name(fd) name(inode) name(how) name(owner) name(kind) name(pinned) name(blamed) \
    name(_unresolved) name(_closing) name(_opened) name(_thread_records) name(_tools) name(_sign) name(_seen) \
    name(_last) name(_add_elsewhere) name(_open_again) name(_on_open) name(_on_bind) name(_on_connect)

#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)

static PyObject *s_open, *s_socket_new, *s_thread_start; /* the names of events */
static PyObject *nothing;                                /* () */

int
prepare_records(void)
{
#define INTERN(name) \
    if (s_##name == NULL && (s_##name = PyUnicode_InternFromString(#name)) == NULL) { \
        return -1; \
    }
    NAMES(INTERN)
    if (nothing == NULL) {
        s_open = PyUnicode_InternFromString("open");
        s_socket_new = PyUnicode_InternFromString("socket.__new__");
        s_thread_start = PyUnicode_InternFromString("thread start");
        nothing = PyTuple_New(0);
    }
    return s_open == NULL || s_socket_new == NULL || s_thread_start == NULL || nothing == NULL ? -1 : 0;
}

/* What origins.audit gives as `Recorder._tools`. */
enum { RECORD, BLOCK, FILENO, IMPORTERS, THREAD, TOOLS };

/* ---- small steps: -1 and an error set where one fails --------------------------------------------------------- */

/* One more; the new number, or -1. */
static long
one_more(PyObject *object, PyObject *name)
{
    PyObject *before = PyObject_GetAttr(object, name);
    if (before == NULL) {
        return -1;
    }
    long number = PyLong_AsLong(before);
    Py_DECREF(before);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    PyObject *after = PyLong_FromLong(++number);
    int done = after == NULL ? -1 : PyObject_SetAttr(object, name, after);
    Py_XDECREF(after);
    return done < 0 ? -1 : number;
}

static int
set_number(PyObject *object, PyObject *name, long number)
{
    PyObject *value = PyLong_FromLong(number);
    int done = value == NULL ? -1 : PyObject_SetAttr(object, name, value);
    Py_XDECREF(value);
    return done;
}

/* Sets what was just made, and gives it up. */
static int
set_new(PyObject *object, PyObject *name, PyObject *value)
{
    int done = value == NULL ? -1 : PyObject_SetAttr(object, name, value);
    Py_XDECREF(value);
    return done;
}

/* Whether an attribute that is a list has anything in it. */
static int
holds_any(PyObject *object, PyObject *name)
{
    PyObject *list = PyObject_GetAttr(object, name);
    if (list == NULL) {
        return -1;
    }
    Py_ssize_t size = PyObject_Size(list);
    Py_DECREF(list);
    return size < 0 ? -1 : size > 0;
}

static PyObject *
tool(PyObject *recorder, int which)
{
    PyObject *tools = PyObject_GetAttr(recorder, s__tools);
    if (tools == NULL) {
        return NULL;
    }
    if (!PyTuple_Check(tools) || PyTuple_GET_SIZE(tools) != TOOLS) {
        Py_DECREF(tools);
        PyErr_SetString(PyExc_TypeError, "other tools are asked for");
        return NULL;
    }
    PyObject *found = Py_NewRef(PyTuple_GET_ITEM(tools, which));
    Py_DECREF(tools);
    return found;
}

static int
take(PyObject *const *given, Py_ssize_t count, Py_ssize_t wanted, const char *signature)
{
    /* the last is a frame in each of them */
    if (count != wanted || (given[count - 1] != Py_None && !PyFrame_Check(given[count - 1]))) {
        PyErr_SetString(PyExc_TypeError, signature);
        return -1;
    }
    return 0;
}

/* ---- a record -------------------------------------------------------------------------------------------------- */

/* Asks new sockets for their descriptors, as `Recorder.resolve`. */
static int
ask_sockets(PyObject *recorder)
{
    int any = holds_any(recorder, s__unresolved);
    if (any <= 0) {
        return any;
    }
    PyObject *pending = PyObject_GetAttr(recorder, s__unresolved);
    PyObject *fileno = tool(recorder, FILENO);
    int done = pending == NULL || fileno == NULL ? -1 : set_new(recorder, s__unresolved, PyList_New(0));
    for (Py_ssize_t i = 0; done == 0 && i < PyList_GET_SIZE(pending); i++) {
        PyObject *record = PyList_GET_ITEM(pending, i); /* nobody else has the list any more */
        PyObject *ref = PyObject_GetAttr(record, s_ref);
        PyObject *sock = ref == NULL ? NULL : PyObject_CallNoArgs(ref);
        Py_XDECREF(ref);
        if (sock == NULL) {
            done = -1;
        } else if (sock != Py_None) {
            PyObject *number = PyObject_CallOneArg(fileno, sock); /* a subclass's own is not run */
            if (number == NULL && (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_OSError))) {
                PyErr_Clear();
                number = PyLong_FromLong(-1);
            }
            long descriptor = number == NULL ? -1 : PyLong_AsLong(number);
            Py_XDECREF(number);
            done = PyErr_Occurred() ? -1 : set_number(record, s_fd, descriptor);
            if (done == 0) {
                done = set_new(record, s_inode, inode_of_descriptor((int)descriptor));
            }
        }
        Py_XDECREF(sock);
    }
    Py_XDECREF(pending);
    Py_XDECREF(fileno);
    return done;
}

/* As `Recorder.resolve`. */
static int
find_out(PyObject *recorder)
{
    int waits = holds_any(recorder, s_waiting);
    if (waits == 0) {
        waits = holds_any(recorder, s__closing);
    }
    if (waits == 0) {
        return ask_sockets(recorder);
    }
    PyObject *done = waits < 0 ? NULL : PyObject_CallMethodNoArgs(recorder, s__resolve);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* As `Ledger.now`. */
static PyObject *
now(PyObject *recorder)
{
    PyObject *ledger = PyObject_GetAttr(recorder, s_ledger);
    PyObject *ask = ledger == NULL ? NULL : PyObject_GetAttr(ledger, s__sign);
    PyObject *sign = ask == NULL ? NULL : PyObject_CallNoArgs(ask);
    PyObject *seen = sign == NULL ? NULL : PyObject_GetAttr(ledger, s__seen);
    PyObject *found = NULL;
    if (seen != NULL) {
        found = PyObject_GetAttr(ledger, sign != Py_None && sign == seen ? s__last : s_now);
    }
    Py_XDECREF(seen);
    Py_XDECREF(sign);
    Py_XDECREF(ask);
    Py_XDECREF(ledger);
    return found;
}

PyDoc_STRVAR(resolve_doc, "resolve(recorder)\n--\n\nAs Recorder.resolve.");

static PyObject *
resolve(PyObject *module, PyObject *recorder)
{
    return find_out(recorder) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
bare_record(PyObject *recorder, PyObject *event, PyObject *detail, PyObject *frame)
{
    PyObject *type = tool(recorder, RECORD);
    if (type == NULL) {
        return NULL;
    }
    /* without its __init__, which does the four lines below */
    PyObject *record = ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, nothing, NULL);
    Py_DECREF(type);
    if (record == NULL) {
        return NULL;
    }
    if (PyObject_SetAttr(record, s_event, event) < 0 || PyObject_SetAttr(record, s_detail, detail) < 0 ||
        set_new(record, s_stack, stack_of(frame)) < 0 || set_new(record, s_context, now(recorder)) < 0) {
        Py_CLEAR(record);
    }
    return record;
}

static int
number_it(PyObject *recorder, PyObject *record)
{
    long count = one_more(recorder, s_count);
    PyObject *block = count < 0 || set_number(record, s_number, count) < 0 ? NULL : tool(recorder, BLOCK);
    PyObject *inside = NULL;
    int done = block == NULL ? -1 : PyContextVar_Get(block, NULL, &inside);
    Py_XDECREF(block);
    return done < 0 ? -1 : set_new(record, s_block, inside);
}

/* As `Recorder._add`. */
static PyObject *
add(PyObject *recorder, PyObject *event, PyObject *detail, PyObject *frame)
{
    PyObject *home = find_out(recorder) < 0 ? NULL : PyObject_GetAttr(recorder, s_home);
    if (home == NULL) {
        return NULL;
    }
    unsigned long ident = PyLong_AsUnsignedLong(home);
    Py_DECREF(home);
    if (ident == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (ident != PyThread_get_thread_ident()) {
        return PyObject_CallMethodObjArgs(recorder, s__add_elsewhere, event, detail, frame, NULL);
    }
    PyObject *record = bare_record(recorder, event, detail, frame);
    if (record == NULL) {
        return NULL;
    }
    PyObject *records = number_it(recorder, record) < 0 ? NULL : PyObject_GetAttr(recorder, s_records);
    PyObject *done = records == NULL ? NULL : PyObject_CallMethodOneArg(records, s_append, record);
    Py_XDECREF(records);
    if (done == NULL) {
        Py_CLEAR(record);
    }
    Py_XDECREF(done);
    return record;
}

/* `add`, of what counts as a movement. */
static PyObject *
note(PyObject *recorder, PyObject *event, PyObject *detail, PyObject *frame)
{
    return one_more(recorder, s_moves) < 0 ? NULL : add(recorder, event, detail, frame);
}

PyDoc_STRVAR(add_doc, "add(recorder, event, detail, frame)\n--\n\nAs Recorder._add.");

static PyObject *
add_record(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    return take(given, count, 4, "add(recorder, event, detail, frame)") < 0
               ? NULL
               : add(given[0], given[1], given[2], given[3]);
}

/* ---- the events ------------------------------------------------------------------------------------------------ */

/* Whether pytest cleans up what is made there; not being sure is no. */
static int
is_cleaned_up(PyObject *recorder, PyObject *path)
{
    PyObject *created = PyObject_GetAttr(recorder, s_created);
    PyObject *roots = created == NULL ? NULL : PyObject_GetAttr(created, s_tmp_roots);
    Py_XDECREF(created);
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
    if (!PyLong_CheckExact(flags)) {
        return 0;
    }
    int overflow;
    long bits = PyLong_AsLongAndOverflow(flags, &overflow);
    return bits == -1 && PyErr_Occurred() ? -1 : !overflow && (bits & O_CREAT) != 0;
}

/* The same path is opened again in a test: which descriptor is the earlier one's? */
static int
ask_for_earlier(PyObject *recorder, PyObject *opened, PyObject *path)
{
    PyObject *earlier = PyDict_GetItemWithError(opened, path);
    if (earlier == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(earlier);
    PyObject *done = PyObject_CallMethodOneArg(recorder, s__open_again, earlier);
    Py_DECREF(earlier);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* A path that is a str is opened. */
static int
note_path(PyObject *recorder, PyObject *opened, PyObject *record, PyObject *path, PyObject *flags)
{
    if (PyDict_SetItem(opened, path, record) < 0) {
        return -1;
    }
    int made = makes(flags);
    int passed = made <= 0 ? 1 : is_cleaned_up(recorder, path);
    if (made < 0 || passed != 0) {
        return made < 0 || passed < 0 ? -1 : 0;
    }
    PyObject *created = PyObject_GetAttr(recorder, s_created);
    PyObject *done = created == NULL ? NULL : PyObject_CallMethodObjArgs(created, s_opening, path, record, NULL);
    Py_XDECREF(created);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyDoc_STRVAR(on_open_doc, "on_open(recorder, args, frame)\n--\n\nAs Recorder._on_open.");

static PyObject *
on_open(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (take(given, count, 3, "on_open(recorder, args, frame)") < 0) {
        return NULL;
    }
    PyObject *recorder = given[0], *args = given[1], *frame = given[2], *path, *mode, *flags;
    if (!PyArg_UnpackTuple(args, "open", 3, 3, &path, &mode, &flags)) {
        return NULL;
    }
    if (!PyUnicode_CheckExact(path) && !PyLong_CheckExact(path)) {
        return PyObject_CallMethodObjArgs(recorder, s__on_open, args, frame, NULL);
    }
    PyObject *importers = tool(recorder, IMPORTERS);
    if (importers == NULL) {
        return NULL;
    }
    int is_import = runs_with(frame, importers);
    Py_DECREF(importers);
    if (is_import) {
        Py_RETURN_NONE;
    }
    int is_path = PyUnicode_CheckExact(path);
    PyObject *opened = PyObject_GetAttr(recorder, s__opened), *record = NULL;
    int failed = opened == NULL || (is_path && ask_for_earlier(recorder, opened, path) < 0);
    if (!failed) {
        record = note(recorder, s_open, path, frame);
        failed = record == NULL || (mode == Py_None && PyObject_SetAttr(record, s_raw, Py_True) < 0) ||
                 (is_path && note_path(recorder, opened, record, path, flags) < 0);
    }
    Py_XDECREF(opened);
    Py_XDECREF(record);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(on_socket_doc, "on_socket(recorder, args, frame)\n--\n\nAs Recorder._on_socket.");

static PyObject *
on_socket(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (take(given, count, 3, "on_socket(recorder, args, frame)") < 0) {
        return NULL;
    }
    PyObject *recorder = given[0], *sock = PySequence_GetItem(given[1], 0);
    PyObject *record = sock == NULL ? NULL : note(recorder, s_socket_new, Py_None, given[2]), *pending = NULL;
    if (record == NULL || set_new(record, s_object_id, PyLong_FromVoidPtr(sock)) < 0) {
        goto failed;
    }
    PyObject *ref = PyWeakref_NewRef(sock, NULL);
    if (ref == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* a bare _socket.socket */
    } else if (set_new(record, s_ref, ref) < 0 || (pending = PyObject_GetAttr(recorder, s__unresolved)) == NULL ||
               PyList_Append(pending, record) < 0) {
        goto failed;
    }
    Py_XDECREF(pending);
    Py_DECREF(record);
    Py_DECREF(sock);
    Py_RETURN_NONE;
failed:
    Py_XDECREF(pending);
    Py_XDECREF(record);
    Py_XDECREF(sock);
    return NULL;
}

/* What a socket is bound or connected to matters where it is a name. */
static PyObject *
on_address(PyObject *recorder, PyObject *args, PyObject *frame, PyObject *rare)
{
    PyObject *address = PySequence_GetItem(args, 1);
    if (address == NULL) {
        return NULL;
    }
    int is_name = PyUnicode_CheckExact(address) || PyBytes_CheckExact(address);
    Py_DECREF(address);
    if (is_name) {
        return PyObject_CallMethodObjArgs(recorder, rare, args, frame, NULL);
    }
    if (find_out(recorder) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(on_bind_doc, "on_bind(recorder, args, frame)\n--\n\nAs Recorder._on_bind.");

static PyObject *
on_bind(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    return take(given, count, 3, "on_bind(recorder, args, frame)") < 0
               ? NULL
               : on_address(given[0], given[1], given[2], s__on_bind);
}

PyDoc_STRVAR(on_connect_doc, "on_connect(recorder, args, frame)\n--\n\nAs Recorder._on_connect.");

static PyObject *
on_connect(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    return take(given, count, 3, "on_connect(recorder, args, frame)") < 0
               ? NULL
               : on_address(given[0], given[1], given[2], s__on_connect);
}

PyDoc_STRVAR(on_mkdir_doc, "on_mkdir(recorder, args, frame)\n--\n\nAs CreatedPaths.on_mkdir.");

static PyObject *
on_mkdir(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (take(given, count, 3, "on_mkdir(recorder, args, frame)") < 0) {
        return NULL;
    }
    PyObject *path = PySequence_GetItem(given[1], 0);
    if (path == NULL) {
        return NULL;
    }
    int passed = PyUnicode_CheckExact(path) ? is_cleaned_up(given[0], path) : 0;
    Py_DECREF(path);
    if (passed != 0) {
        return passed < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *created = PyObject_GetAttr(given[0], s_created);
    PyObject *done = created == NULL
                         ? NULL
                         : PyObject_CallMethodObjArgs(created, s_on_mkdir, given[1], given[2], NULL);
    Py_XDECREF(created);
    return done;
}

PyDoc_STRVAR(thread_starting_doc, "thread_starting(recorder, function, how, frame)\n--\n\nAs Recorder.thread_starting.");

static PyObject *
thread_starting(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (take(given, count, 4, "thread_starting(recorder, function, how, frame)") < 0) {
        return NULL;
    }
    PyObject *recorder = given[0], *function = given[1];
    PyObject *record = one_more(recorder, s_thread_starts) < 0 ? NULL
                                                               : note(recorder, s_thread_start, Py_None, given[3]);
    PyObject *type = record == NULL || PyObject_SetAttr(record, s_how, given[2]) < 0 ? NULL : tool(recorder, THREAD);
    PyObject *thread = type != NULL && PyMethod_Check(function) ? PyMethod_GET_SELF(function) : NULL;
    int done = type == NULL ? -1 : 0;
    if (thread != NULL && PyObject_TypeCheck(thread, (PyTypeObject *)type)) {
        PyObject *by_thread = PyObject_GetAttr(recorder, s__thread_records);
        /* by its identity, as _real.identity has it */
        PyObject *key = PyLong_FromSsize_t(PyBaseObject_Type.tp_hash(thread));
        done = by_thread == NULL || key == NULL ? -1 : set_new(record, s_ref, PyWeakref_NewRef(thread, NULL));
        done = done < 0 ? -1 : PyDict_SetItem(by_thread, key, record);
        Py_XDECREF(by_thread);
        Py_XDECREF(key);
    }
    Py_XDECREF(type);
    Py_XDECREF(record);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- when a test is over --------------------------------------------------------------------------------------- */

static int
is_set(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int result = value == NULL ? -1 : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return result;
}

/* Whether a record is of a test, and nobody needs it any more: -1, 0 or 1. */
static int
is_done_with(PyObject *record)
{
    PyObject *context = PyObject_GetAttr(record, s_context);
    PyObject *owner = context == NULL ? NULL : PyObject_GetAttr(context, s_owner);
    PyObject *kind = owner == NULL ? NULL : PyObject_GetAttr(owner, s_kind);
    int result = kind == NULL ? -1 : PyUnicode_CompareWithASCIIString(kind, "test") == 0;
    Py_XDECREF(context);
    Py_XDECREF(owner);
    Py_XDECREF(kind);
    for (int i = 0; result == 1 && i < 2; i++) {
        int needed = is_set(record, i == 0 ? s_pinned : s_blamed);
        result = needed < 0 ? -1 : !needed;
    }
    return result;
}

PyDoc_STRVAR(are_done_with_doc, "are_done_with(records)\n--\n\n"
             "Whether each record is of a test, and neither pinned nor blamed.");

static PyObject *
are_done_with(PyObject *module, PyObject *records)
{
    PyObject *all = PySequence_Tuple(records); /* any thread may add to it */
    int result = all == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; result == 1 && i < PyTuple_GET_SIZE(all); i++) {
        result = is_done_with(PyTuple_GET_ITEM(all, i));
    }
    Py_XDECREF(all);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

PyMethodDef record_methods[] = {
    {"resolve", resolve, METH_O, resolve_doc},
    {"add", (PyCFunction)(void (*)(void))add_record, METH_FASTCALL, add_doc},
    {"on_open", (PyCFunction)(void (*)(void))on_open, METH_FASTCALL, on_open_doc},
    {"on_socket", (PyCFunction)(void (*)(void))on_socket, METH_FASTCALL, on_socket_doc},
    {"on_bind", (PyCFunction)(void (*)(void))on_bind, METH_FASTCALL, on_bind_doc},
    {"on_connect", (PyCFunction)(void (*)(void))on_connect, METH_FASTCALL, on_connect_doc},
    {"on_mkdir", (PyCFunction)(void (*)(void))on_mkdir, METH_FASTCALL, on_mkdir_doc},
    {"thread_starting", (PyCFunction)(void (*)(void))thread_starting, METH_FASTCALL, thread_starting_doc},
    {"are_done_with", are_done_with, METH_O, are_done_with_doc},
    {NULL, NULL, 0, NULL},
};
