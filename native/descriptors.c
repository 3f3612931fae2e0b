/* Descriptors, as probes/descriptors.py asks for them, but without an object for each thing that the kernel tells. */

#include "native.h"

#include <string.h>
#include <sys/stat.h>

static PyObject *s_path, *s_counted, *s_count_anew;

int
prepare_descriptors(void)
{
    if (s_path == NULL) {
        s_path = PyUnicode_InternFromString("path");
        s_counted = PyUnicode_InternFromString("counted");
        s_count_anew = PyUnicode_InternFromString("_count_anew");
    }
    return s_path == NULL || s_counted == NULL || s_count_anew == NULL ? -1 : 0;
}

PyDoc_STRVAR(count_doc, "count(table)\n--\n\nAs DescriptorTable.count, where the size of the folder tells the number.");

static PyObject *
count(PyObject *module, PyObject *table)
{
    struct stat status;
    PyObject *path = PyObject_GetAttr(table, s_path);
    const char *name = path == NULL ? NULL : PyUnicode_AsUTF8(path);
    int failed = name == NULL ? -1 : stat(name, &status);
    Py_XDECREF(path);
    if (name == NULL) {
        return NULL;
    }
    if (failed) {
        return PyObject_CallMethodNoArgs(table, s_count_anew);
    }
    PyObject *size = PyLong_FromLongLong((long long)status.st_size);
    if (size != NULL && PyObject_SetAttr(table, s_counted, size) < 0) {
        Py_CLEAR(size);
    }
    return size;
}

PyObject *
inode_of_descriptor(int descriptor)
{
    struct stat status;
    int failed;
    Py_BEGIN_ALLOW_THREADS /* a file system may be slow to answer */
    failed = fstat(descriptor, &status);
    Py_END_ALLOW_THREADS
    if (failed) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("KK", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
}

PyDoc_STRVAR(inode_of_doc, "inode_of(number)\n--\n\nDevice and inode of an open descriptor, or None.");

static PyObject *
inode_of(PyObject *module, PyObject *number)
{
    long given = PyLong_AsLong(number);
    if (given == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return inode_of_descriptor((int)given);
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

PyMethodDef descriptor_methods[] = {
    {"count", count, METH_O, count_doc},
    {"inode_of", inode_of, METH_O, inode_of_doc},
    {"is_still", is_still, METH_O, is_still_doc},
    {NULL, NULL, 0, NULL},
};
