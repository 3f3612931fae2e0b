/* The module `pytest_leakguard._native`: what the other files offer, in one. */

#include "records.h"

static int modules; /* of this one; an import may be undone and done again */

static int
begin(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "only for the main interpreter");
        return -1;
    }
    if (prepare_descriptors() < 0 || prepare_looks() < 0 || prepare_moments() < 0 || add_record_type(module) < 0 ||
        add_recording_type(module) < 0 || add_nursery_types(module) < 0) {
        return -1;
    }
    PyMethodDef *all[] = {event_methods, stack_methods, descriptor_methods, look_methods, nursery_methods};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (PyModule_AddFunctions(module, all[i]) < 0) {
            return -1;
        }
    }
    modules++;
    return 0;
}

static void
over(void *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        return; /* where it was refused */
    }
    forget_events(module);
    if (--modules == 0) {
        forget_stacks();
    }
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, begin},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pytest_leakguard._native",
    .m_doc = "What runs at every event, frame and descriptor, in C.",
    .m_size = 0,
    .m_slots = slots,
    .m_free = over,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
