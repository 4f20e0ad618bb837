/* binding.c: the module edgeemo._native, made from the parts that binding.h lists. */
#include "binding.h"

int edgeemo_borrow(PyObject *object, Py_buffer *view, const char *formats, int writable)
{
    int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) < 0)
        return -1;
    const char *format = view->format ? view->format : "B";
    if (strlen(format) == 1 && strchr(formats, format[0]) && view->len / view->itemsize <= INT32_MAX)
        return 0;
    PyErr_Format(PyExc_TypeError, "expected at most 2147483647 items of type %s, got %zd of type %s",
                 formats, view->len / view->itemsize, format);
    PyBuffer_Release(view);
    return -1;
}

int32_t edgeemo_items(const Py_buffer *view)
{
    return (int32_t)(view->len / view->itemsize);
}

int edgeemo_add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type)
        return -1;
    int status = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    return status;
}

static int module_exec(PyObject *module)
{
#define EDGEEMO_X(part)                 \
    if (edgeemo_add_##part(module) < 0) \
        return -1;
    EDGEEMO_PARTS(EDGEEMO_X)
#undef EDGEEMO_X
#ifdef EDGEEMO_VERSION
    /* The version that was built: `edgeemo doctor` tells when it is not the Python side's. */
    return PyModule_AddStringConstant(module, "__version__", EDGEEMO_VERSION);
#else
    return 0;
#endif
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "edgeemo._native",
    .m_doc = "The C library; edgeemo.features is its face.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module_definition);
}
