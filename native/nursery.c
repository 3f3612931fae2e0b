/* Instances of the watched classes, as probes/nursery.py keeps them: nearly all are gone before anybody asks.

   What is no plain case is left to the Python code: another thread, a constructor that runs inside another, a class
   with `__del__`. */

#include "records.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    Moment moment;
    PyObject *ref, *plan;
    char is_done;
} Newborn;

typedef struct {
    PyObject_HEAD
    PyObject *made, *_owing;
} Crib;

static PyTypeObject *newborn_type, *crib_type;

#define NAMES(name) \
    name(ref) name(test) name(duties) name(must_go) name(append) name(clear) name(subclasses) name(_is_for_all) \
    name(_plans) name(any) name(co_name)

#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)

/* ---- one of them ----------------------------------------------------------------------------------------------- */

static void
newborn_freed(Newborn *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->ref);
    Py_XDECREF(self->plan);
    drop_moment(&self->moment);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
get_stack(Newborn *self, void *unused)
{
    return stack_in(&self->moment);
}

static PyObject *
get_duties(Newborn *self, void *unused)
{
    return self->is_done ? PyTuple_New(0) : PyObject_GetAttr(self->plan, s_duties);
}

static PyObject *
get_context(Newborn *self, void *unused)
{
    return context_of(&self->moment);
}

/* Takes the moment over. */
static Newborn *
newborn(PyObject *obj, PyObject *plan, Moment *moment)
{
    Newborn *self = (Newborn *)newborn_type->tp_alloc(newborn_type, 0);
    if (self == NULL) {
        drop_moment(moment);
        return NULL;
    }
    self->moment = *moment;
    memset(moment, 0, sizeof *moment);
    self->plan = Py_NewRef(plan);
    self->ref = PyWeakref_NewRef(obj, NULL);
    if (self->ref == NULL) {
        Py_CLEAR(self);
    }
    return self;
}

static PyObject *
newborn_made(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *obj, *plan, *context, *stack;
    if ((kwargs != NULL && PyDict_GET_SIZE(kwargs)) ||
        !PyArg_UnpackTuple(args, "Newborn", 4, 4, &obj, &plan, &context, &stack)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "Newborn() takes no keyword arguments");
    }
    Moment moment = {.context = Py_NewRef(context), .stack = Py_NewRef(stack)};
    return (PyObject *)newborn(obj, plan, &moment);
}

static PyMemberDef newborn_members[] = {
    {"ref", T_OBJECT_EX, offsetof(Newborn, ref), READONLY, NULL},
    {"plan", T_OBJECT_EX, offsetof(Newborn, plan), READONLY, NULL},
    {"is_done", T_BOOL, offsetof(Newborn, is_done), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef newborn_computed[] = {
    {"context", (getter)get_context, NULL, "Who owned it then.", NULL},
    {"stack", (getter)get_stack, NULL, "Innermost frame first.", NULL},
    {"duties", (getter)get_duties, NULL, "What is still to be called on it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot newborn_slots[] = {
    {Py_tp_doc, "Newborn(obj, plan, context, stack)\n--\n\nAs probes.nursery.Newborn."},
    {Py_tp_new, newborn_made},
    {Py_tp_dealloc, newborn_freed},
    {Py_tp_members, newborn_members},
    {Py_tp_getset, newborn_computed},
    {0, NULL},
};

static PyType_Spec newborn_spec = {
    .name = "pytest_leakguard._native.Newborn",
    .basicsize = sizeof(Newborn),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = newborn_slots,
};

/* ---- all of them ----------------------------------------------------------------------------------------------- */

static int
is_usable(Crib *self)
{
    if (self->made == NULL || self->_owing == NULL || !PyDict_Check(self->_owing)) {
        PyErr_SetString(PyExc_TypeError, "the nursery is not made yet");
        return 0;
    }
    return 1;
}

/* The object that a weak reference leads to, or NULL; borrowed, and for a comparison only. */
static PyObject *
target_of(PyObject *ref)
{
    PyObject *found = PyObject_CallNoArgs(ref);
    if (found == NULL) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *target = found == Py_None ? NULL : found;
    Py_DECREF(found); /* who compares has it */
    return target;
}

static int
owes(Newborn *one)
{
    PyObject *duties = one->is_done ? NULL : PyObject_GetAttr(one->plan, s_duties);
    int any = duties == NULL ? (one->is_done ? 0 : -1) : PyObject_IsTrue(duties);
    Py_XDECREF(duties);
    return any;
}

static PyObject *
clear_if_gone(Crib *self, PyObject *unused)
{
    PyObject *all = is_usable(self) ? PySequence_Tuple(self->made) : NULL;
    int gone = all == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; gone == 1 && i < PyTuple_GET_SIZE(all); i++) {
        PyObject *one = PyTuple_GET_ITEM(all, i);
        if (!Py_IS_TYPE(one, newborn_type) || target_of(((Newborn *)one)->ref) != NULL) {
            gone = 0;
        } else {
            int any = owes((Newborn *)one);
            gone = any < 0 ? -1 : !any;
        }
    }
    if (gone == 1) { /* `_owing` is empty then: who is in it is here, and owes a call */
        PyObject *done = PyObject_CallMethodNoArgs(self->made, s_clear);
        gone = done == NULL ? -1 : 1;
        Py_XDECREF(done);
    }
    Py_XDECREF(all);
    return gone < 0 ? NULL : PyBool_FromLong(gone);
}

static int
crib_traversed(Crib *self, visitproc visit, void *arg)
{
    Py_VISIT(self->made);
    Py_VISIT(self->_owing);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int
crib_cleared(Crib *self)
{
    Py_CLEAR(self->made);
    Py_CLEAR(self->_owing);
    return 0;
}

static void
crib_freed(Crib *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    crib_cleared(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef crib_members[] = {
    {"made", T_OBJECT_EX, offsetof(Crib, made), 0, NULL},
    {"_owing", T_OBJECT_EX, offsetof(Crib, _owing), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef crib_methods[] = {
    {"clear_if_gone", (PyCFunction)clear_if_gone, METH_NOARGS,
     "clear_if_gone()\n--\n\nEmpty it, where each is gone and owed no call. Returns: whether it was so."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot crib_slots[] = {
    {Py_tp_doc, "The part of probes.nursery.Nursery that is in use whenever an instance is made."},
    {Py_tp_dealloc, crib_freed},
    {Py_tp_traverse, crib_traversed},
    {Py_tp_clear, crib_cleared},
    {Py_tp_members, crib_members},
    {Py_tp_methods, crib_methods},
    {0, NULL},
};

static PyType_Spec crib_spec = {
    .name = "pytest_leakguard._native.Crib",
    .basicsize = sizeof(Crib),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = crib_slots,
};

/* ---- an instance is made --------------------------------------------------------------------------------------- */

/* What is asked of the instances of a class in that test, as `Watched.plan` where it was asked before. */
static PyObject *
plan_of(PyObject *entry, PyObject *test)
{
    PyObject *for_all = PyObject_GetAttr(entry, s__is_for_all), *plans = PyObject_GetAttr(entry, s__plans);
    PyObject *plan = NULL;
    if (for_all != NULL && plans != NULL && PyDict_Check(plans)) {
        int is_test = PyObject_IsTrue(test);
        plan = is_test < 0 ? NULL : PyDict_GetItemWithError(plans, for_all == Py_True && is_test ? s_any : test);
        Py_XINCREF(plan);
    }
    Py_XDECREF(for_all);
    Py_XDECREF(plans);
    return plan;
}

static int
is_of_class(PyObject *entry, PyObject *obj)
{
    PyObject *ref = PyObject_GetAttr(entry, s_ref);
    int same = ref != NULL && target_of(ref) == (PyObject *)Py_TYPE(obj);
    Py_XDECREF(ref);
    return same;
}

/* Whether a function of that name may be the constructor of what is made. */
static int
may_be_constructor(PyObject *code)
{
    PyObject *name = PyObject_GetAttr(code, s_co_name);
    int may = name == NULL || PyUnicode_CompareWithASCIIString(name, "__init__") == 0 ||
              PyUnicode_CompareWithASCIIString(name, "__new__") == 0 ||
              PyUnicode_CompareWithASCIIString(name, "__call__") == 0;
    Py_XDECREF(name);
    return may;
}

/* 1 when it is in the nursery, 0 when the Python code has to see to it, -1 with an error set. */
static int
take_in(Recording *recorder, Crib *nursery, PyObject *entry, PyObject *obj, PyObject *frame)
{
    if (recorder->home != PyThread_get_thread_ident() || !is_of_class(entry, obj)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Moment moment;
    if (moment_now(recorder, &moment) < 0) {
        return -1;
    }
    PyObject *test = moment.test == NULL ? PyObject_GetAttr(moment.context, s_test) : Py_NewRef(moment.test);
    PyObject *plan = test == NULL || !PyObject_IsTrue(test) ? NULL : plan_of(entry, test);
    PyObject *duties = plan == NULL || plan == Py_None ? NULL : PyObject_GetAttr(plan, s_duties);
    int done = PyErr_Occurred() ? -1 : 0;
    Entry entries[MOST_ENTRIES];
    int count = duties == NULL ? 0 : walk_stack(frame, entries);
    if (count > 0 && may_be_constructor(entries[0].code)) {
        drop_entries(entries, count);
        count = 0;
    }
    if (count > 0) {
        PyObject *key = PyLong_FromSsize_t(PyBaseObject_Type.tp_hash(obj)); /* as _real.identity has it */
        PyObject *known = key == NULL ? NULL : PyDict_GetItemWithError(nursery->_owing, key);
        if (known != NULL && Py_IS_TYPE(known, newborn_type) && target_of(((Newborn *)known)->ref) == obj) {
            drop_entries(entries, count);
            done = 1; /* its constructor has run twice */
        } else {
            Newborn *one = keep_entries(&moment, entries, count) < 0 ? NULL : newborn(obj, plan, &moment);
            done = one == NULL ? -1 : 1;
            int is_owing = one == NULL ? 0 : PyObject_IsTrue(duties);
            if (is_owing && PyDict_SetItem(nursery->_owing, key, (PyObject *)one) < 0) {
                done = -1;
            }
            PyObject *kept = done < 0 ? NULL : PyObject_CallMethodOneArg(nursery->made, s_append, (PyObject *)one);
            done = kept == NULL ? -1 : 1;
            Py_XDECREF(kept);
            Py_XDECREF(one);
        }
        Py_XDECREF(key);
    }
    Py_XDECREF(duties);
    Py_XDECREF(plan);
    Py_XDECREF(test);
    drop_moment(&moment);
    return done;
}

static int
are_ours(PyObject *recorder, PyObject *nursery)
{
    if (!is_recording(recorder) || !PyObject_TypeCheck(nursery, crib_type)) {
        PyErr_SetString(PyExc_TypeError, "a recorder and a nursery first");
        return 0;
    }
    return is_usable((Crib *)nursery);
}

PyDoc_STRVAR(made_doc, "made(recorder, nursery, full, entry, slowly, obj, frame)\n--\n\n"
             "An instance of a watched class was made by the code of `frame`.\n\n"
             "full: no more than that many are kept. slowly: told of it in all but the plainest case, as\n"
             "slowly(obj, frame).");

static PyObject *
made(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 7 || !are_ours(given[0], given[1]) || !PyFrame_Check(given[6])) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "seven arguments, the last a frame");
    }
    Recording *recorder = (Recording *)given[0];
    Crib *nursery = (Crib *)given[1];
    if (!recorder->active) {
        Py_RETURN_NONE;
    }
    Py_ssize_t kept = PyObject_Size(nursery->made), full = PyLong_AsSsize_t(given[2]);
    int done = kept < 0 || full < 0 ? -1 : 0;
    if (done == 0 && kept + 1 < full) {
        done = take_in(recorder, nursery, given[3], given[5], given[6]);
    }
    if (done > 0) {
        Py_RETURN_NONE;
    }
    if (done < 0) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear(); /* it will find the same, and tells of it */
    }
    return PyObject_CallFunctionObjArgs(given[4], given[5], given[6], NULL);
}

/* Whether that call is all that an instance owes, as `Plan.is_met_by`. */
static int
is_met_by(PyObject *plan, PyObject *method)
{
    PyObject *must_go = PyObject_GetAttr(plan, s_must_go), *duties = PyObject_GetAttr(plan, s_duties);
    int met = must_go == NULL || duties == NULL ? -1 : 0;
    if (met == 0 && must_go == Py_False && PyTuple_Check(duties) && PyTuple_GET_SIZE(duties) == 1) {
        met = PySequence_Contains(PyTuple_GET_ITEM(duties, 0), method);
    }
    Py_XDECREF(must_go);
    Py_XDECREF(duties);
    return met;
}

PyDoc_STRVAR(called_doc, "called(recorder, nursery, slowly, obj, method)\n--\n\n"
             "A method is called on an instance of a watched class.\n\n"
             "slowly: told of it, as slowly(obj, method), where that is not all that a newborn instance owes.");

static PyObject *
called(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 5 || !are_ours(given[0], given[1])) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "five arguments");
    }
    Recording *recorder = (Recording *)given[0];
    Crib *nursery = (Crib *)given[1];
    PyObject *obj = given[3];
    if (!recorder->active) {
        Py_RETURN_NONE;
    }
    int met = 0;
    if (Py_TYPE(obj)->tp_finalize == NULL) { /* with a __del__ it matters who calls */
        PyObject *key = PyLong_FromSsize_t(PyBaseObject_Type.tp_hash(obj));
        PyObject *known = key == NULL ? NULL : PyDict_GetItemWithError(nursery->_owing, key);
        if (known != NULL && Py_IS_TYPE(known, newborn_type) && target_of(((Newborn *)known)->ref) == obj) {
            met = is_met_by(((Newborn *)known)->plan, given[4]);
            if (met == 1) {
                ((Newborn *)known)->is_done = 1;
                met = PyDict_DelItem(nursery->_owing, key) < 0 ? -1 : 1;
            }
        }
        Py_XDECREF(key);
    }
    if (met > 0) {
        Py_RETURN_NONE;
    }
    PyErr_Clear(); /* it will find the same, and tells of it */
    return PyObject_CallFunctionObjArgs(given[2], obj, given[4], NULL);
}

PyDoc_STRVAR(have_new_subclasses_doc, "have_new_subclasses(entries)\n--\n\n"
             "Whether any of the classes that these watch has more or fewer subclasses than were seen.\n\n"
             "entries: a dict of whatever to probes.watched.Watched.");

static PyObject *
have_new_subclasses(PyObject *module, PyObject *entries)
{
    PyObject *all = PyDict_Check(entries) ? PyDict_Values(entries) : PyErr_Format(PyExc_TypeError, "a dict");
    PyObject *zero = PyLong_FromLong(0);
    int changed = all == NULL || zero == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; changed == 0 && i < PyList_GET_SIZE(all); i++) {
        PyObject *entry = PyList_GET_ITEM(all, i), *ref = PyObject_GetAttr(entry, s_ref);
        PyObject *cls = ref == NULL ? NULL : PyObject_CallNoArgs(ref);
        PyObject *seen = cls == NULL ? NULL : PyObject_GetAttr(entry, s_subclasses);
        PyObject *now = NULL;
        if (seen == NULL) {
            changed = -1;
        } else if (PyType_Check(cls) && (((PyTypeObject *)cls)->tp_subclasses != NULL || seen != zero)) {
            now = PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasses__", "O", cls);
            changed = now == NULL ? -1 : PyList_GET_SIZE(now) != PyLong_AsSsize_t(seen);
        }
        Py_XDECREF(now);
        Py_XDECREF(seen);
        Py_XDECREF(cls);
        Py_XDECREF(ref);
    }
    Py_XDECREF(zero);
    Py_XDECREF(all);
    return changed < 0 ? NULL : PyBool_FromLong(changed);
}

PyMethodDef nursery_methods[] = {
    {"made", (PyCFunction)(void (*)(void))made, METH_FASTCALL, made_doc},
    {"called", (PyCFunction)(void (*)(void))called, METH_FASTCALL, called_doc},
    {"have_new_subclasses", have_new_subclasses, METH_O, have_new_subclasses_doc},
    {NULL, NULL, 0, NULL},
};

int
add_nursery_types(PyObject *module)
{
    if (crib_type == NULL) {
#define INTERN(name) \
    if ((s_##name = PyUnicode_InternFromString(#name)) == NULL) { \
        return -1; \
    }
        NAMES(INTERN)
        newborn_type = (PyTypeObject *)PyType_FromSpec(&newborn_spec);
        crib_type = newborn_type == NULL ? NULL : (PyTypeObject *)PyType_FromSpec(&crib_spec);
    }
    if (crib_type == NULL || PyModule_AddObjectRef(module, "Newborn", (PyObject *)newborn_type) < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "Crib", (PyObject *)crib_type);
}
