/* The cheap question after every test, as probes/roster.py and plugin/looks.py ask it. */

#include "native.h"

static PyObject *s_asked;

int
prepare_looks(void)
{
    if (s_asked == NULL) {
        s_asked = PyUnicode_InternFromString("asked");
    }
    return s_asked == NULL ? -1 : 0;
}

PyDoc_STRVAR(have_marks_doc, "have_marks(roster, marks)\n--\n\n"
             "Whether each of `roster.asked`, a list of calls, gives what is at its place in that tuple.\n\n"
             "One that fails gives something else: who asks all of them finds out why.");

static PyObject *
have_marks(PyObject *module, PyObject *const *given, Py_ssize_t count)
{
    if (count != 2 || !PyTuple_Check(given[1])) {
        PyErr_SetString(PyExc_TypeError, "have_marks(roster, marks)");
        return NULL;
    }
    PyObject *asked = PyObject_GetAttr(given[0], s_asked), *marks = given[1];
    if (asked == NULL) {
        return NULL;
    }
    int same = PyList_Check(asked) && PyList_GET_SIZE(asked) == PyTuple_GET_SIZE(marks);
    /* a call may change the list */
    for (Py_ssize_t i = 0; same == 1 && i < PyTuple_GET_SIZE(marks) && i < PyList_GET_SIZE(asked); i++) {
        PyObject *ask = Py_NewRef(PyList_GET_ITEM(asked, i));
        PyObject *mark = PyObject_CallNoArgs(ask);
        Py_DECREF(ask);
        same = mark == NULL ? -1 : PyObject_RichCompareBool(mark, PyTuple_GET_ITEM(marks, i), Py_EQ);
        Py_XDECREF(mark);
    }
    Py_DECREF(asked);
    if (same < 0 && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        same = 0;
    }
    return same < 0 ? NULL : PyBool_FromLong(same);
}

PyMethodDef look_methods[] = {
    {"have_marks", (PyCFunction)(void (*)(void))have_marks, METH_FASTCALL, have_marks_doc},
    {NULL, NULL, 0, NULL},
};
