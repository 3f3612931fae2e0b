/* One acquisition, as origins/record.py has it: made at every event, and asked for anything in few tests only. */

#include "records.h"

#include <structmember.h>

PyTypeObject *record_type;
static PyObject *s_audit, *s_empty;

static Record *
bare_record(PyObject *event, PyObject *detail)
{
    Record *self = (Record *)record_type->tp_alloc(record_type, 0);
    if (self != NULL) {
        self->event = Py_NewRef(event);
        self->detail = Py_NewRef(detail);
        self->how = Py_NewRef(s_audit);
        self->created = Py_NewRef(s_empty);
        self->renamed = Py_NewRef(s_empty);
        self->fd = -1;
    }
    return self;
}

Record *
new_record(PyObject *event, PyObject *detail, PyObject *frame, Moment *moment)
{
    Record *self = bare_record(event, detail);
    if (self == NULL) {
        drop_moment(moment);
        return NULL;
    }
    self->moment = *moment;
    Entry entries[MOST_ENTRIES];
    int count = walk_stack(frame, entries);
    if (keep_entries(&self->moment, entries, count) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

static PyObject *
made(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *event, *detail, *stack, *context;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Record() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_UnpackTuple(args, "Record", 4, 4, &event, &detail, &stack, &context)) {
        return NULL;
    }
    Record *self = bare_record(event, detail);
    if (self != NULL) {
        self->moment.context = Py_NewRef(context);
        self->moment.stack = Py_NewRef(stack);
    }
    return (PyObject *)self;
}

static void
freed(Record *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->event);
    Py_XDECREF(self->detail);
    drop_moment(&self->moment);
    Py_XDECREF(self->how);
    Py_XDECREF(self->ref);
    Py_XDECREF(self->inode);
    Py_XDECREF(self->created);
    Py_XDECREF(self->renamed);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
get_context(Record *self, void *unused)
{
    return context_of(&self->moment);
}

static PyObject *
get_stack(Record *self, void *unused)
{
    return stack_in(&self->moment);
}

#define FIELD(name, kind) {#name, kind, offsetof(Record, name), 0, NULL}

static PyMemberDef members[] = {
    FIELD(event, T_OBJECT_EX),  FIELD(detail, T_OBJECT_EX), FIELD(how, T_OBJECT_EX),
    FIELD(ref, T_OBJECT),       FIELD(inode, T_OBJECT),      FIELD(created, T_OBJECT_EX), FIELD(renamed, T_OBJECT_EX),
    FIELD(object_id, T_ULONGLONG), FIELD(fd, T_LONG),        FIELD(number, T_LONG),       FIELD(block, T_LONG),
    FIELD(when, T_DOUBLE),      FIELD(raw, T_BOOL),          FIELD(over, T_BOOL),         FIELD(pinned, T_BOOL),
    FIELD(blamed, T_BOOL),      FIELD(spent, T_BOOL),        {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef computed[] = {
    {"context", (getter)get_context, NULL, "Who owned it then.", NULL},
    {"stack", (getter)get_stack, NULL, "Innermost frame first.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Record(event, detail, stack, context)\n--\n\nAs origins.record.Record."},
    {Py_tp_new, made},
    {Py_tp_dealloc, freed},
    {Py_tp_members, members},
    {Py_tp_getset, computed},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "pytest_leakguard._native.Record",
    .basicsize = sizeof(Record),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int
add_record_type(PyObject *module)
{
    if (record_type == NULL) {
        s_audit = PyUnicode_InternFromString("audit");
        s_empty = PyUnicode_InternFromString("");
        if (s_audit == NULL || s_empty == NULL) {
            return -1;
        }
        record_type = (PyTypeObject *)PyType_FromSpec(&spec);
    }
    return record_type == NULL ? -1 : PyModule_AddObjectRef(module, "Record", (PyObject *)record_type);
}
