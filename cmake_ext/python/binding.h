/* binding.h: what the parts of the Python extension share. Limited API: one binary from 3.11 on.
 *
 * A part is one file python/binding_<part>.c with a function edgeemo_add_<part>(), which puts its
 * functions and types into the module; the part is named in the list below. Arrays go in and out
 * through the buffer protocol, without copies; Python code makes and checks them. */
#ifndef EDGEEMO_BINDING_H
#define EDGEEMO_BINDING_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <string.h>

#include "edgeemo_confidence.h"

/* Every part: the one list that the module is made from. */
#define EDGEEMO_PARTS(X) X(confidence) X(frontend) X(gate) X(model) X(stream)

/* Each returns 0, or -1 with a Python error set. */
#define EDGEEMO_X(part) int edgeemo_add_##part(PyObject *module);
EDGEEMO_PARTS(EDGEEMO_X)
#undef EDGEEMO_X

/* Put a type into the module under its name. Returns 0, or -1 with a Python error set. */
int edgeemo_add_type(PyObject *module, const char *name, PyType_Spec *spec);

/* Borrow a C-contiguous buffer whose items are of one of the `formats` (letters of Python's
 * struct module: "fh" takes float32 and int16), at most INT32_MAX of them. Returns 0, and the
 * caller ends with PyBuffer_Release(view); or -1 with a Python error set and nothing borrowed. */
int edgeemo_borrow(PyObject *object, Py_buffer *view, const char *formats, int writable);

/* Number of items of a buffer that edgeemo_borrow() gave. */
int32_t edgeemo_items(const Py_buffer *view);

/* A spec from any object with its attributes. Returns 0, or -1 with a Python error set. */
int edgeemo_read_spec(PyObject *spec, edgeemo_feature_spec *out);

/* Tables of a valid spec, of integers if `fixed`, in a block that the caller frees also where this
 * fails: then NULL with a Python error set. */
edgeemo_tables *edgeemo_tables_for(const edgeemo_feature_spec *spec, int fixed, void **memory);

/* A confidence whose center, scale and weights lie one behind the other in a borrowed buffer of
 * float32, which stays in use. Returns 0, or -1 with a Python error set. */
int edgeemo_regression(const Py_buffer *parts, float bias, edgeemo_confidence *out);

#endif
