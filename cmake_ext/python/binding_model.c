/* binding_model.c: the int8 engine for Python; edgeemo/backends/c.py is its face. */
#include "binding.h"

#include "edgeemo_model_internal.h"

/* ---- the layout of a blob: what Python writes has the fields that C reads ---- */

#define EDGEEMO_X(type, name) #name,
static const char *const header_fields[] = {EDGEEMO_HEADER_FIELDS(EDGEEMO_X) NULL};
static const char *const tensor_fields[] = {EDGEEMO_TENSOR_FIELDS(EDGEEMO_X) NULL};
static const char *const layer_fields[] = {EDGEEMO_LAYER_FIELDS(EDGEEMO_X) NULL};
#undef EDGEEMO_X

/* Their types as Python's struct writes them. */
#define EDGEEMO_FORMAT_int8_t "b"
#define EDGEEMO_FORMAT_uint8_t "B"
#define EDGEEMO_FORMAT_int16_t "h"
#define EDGEEMO_FORMAT_int32_t "i"
#define EDGEEMO_FORMAT_float "f"
#define EDGEEMO_X(type, name) EDGEEMO_FORMAT_##type
static const char header_format[] = "<" EDGEEMO_HEADER_FIELDS(EDGEEMO_X);
static const char tensor_format[] = "<" EDGEEMO_TENSOR_FIELDS(EDGEEMO_X);
static const char layer_format[] = "<" EDGEEMO_LAYER_FIELDS(EDGEEMO_X);
#undef EDGEEMO_X

static PyObject *strings(const char *const *texts)
{
    Py_ssize_t count = 0;
    while (texts[count])
        count++;
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++) {
        PyObject *text = PyUnicode_FromString(texts[i]);
        if (!text || PyTuple_SetItem(tuple, i, text) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *model_layout(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *kinds = PyDict_New();
#define EDGEEMO_X(name, value)                                                    \
    if (kinds) {                                                                  \
        PyObject *number = PyLong_FromLong(value);                                \
        if (!number || PyDict_SetItemString(kinds, #name, number) < 0)            \
            Py_CLEAR(kinds);                                                      \
        Py_XDECREF(number);                                                       \
    }
    EDGEEMO_KINDS(EDGEEMO_X)
#undef EDGEEMO_X
    if (!kinds)
        return NULL;
    return Py_BuildValue("{sNsNsNsssssssNsisisisisisi}", "header", strings(header_fields), "tensor",
                         strings(tensor_fields), "layer", strings(layer_fields), "header_format",
                         header_format, "tensor_format", tensor_format, "layer_format",
                         layer_format, "kinds", kinds,
                         "magic", EDGEEMO_BLOB_MAGIC, "version", EDGEEMO_BLOB_VERSION,
                         "version_int4", EDGEEMO_BLOB_VERSION_INT4,
                         "max_shift", EDGEEMO_MAX_SHIFT, "max_add", EDGEEMO_MAX_ADD, "pools",
                         EDGEEMO_POOLS);
}

static PyObject *model_kernels(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    const char *names[8] = {NULL};
    for (int32_t i = 0; i < 7 && edgeemo_kernels_at(i); i++)
        names[i] = edgeemo_kernels_at(i)->name;
    return strings(names);
}

/* The set of that name, the best for NULL; NULL with a Python error set if there is none. */
static const edgeemo_kernels *kernels_named(const char *name)
{
    if (!name)
        return edgeemo_kernels_best();
    for (int32_t i = 0; edgeemo_kernels_at(i); i++)
        if (strcmp(edgeemo_kernels_at(i)->name, name) == 0)
            return edgeemo_kernels_at(i);
    PyErr_Format(PyExc_ValueError, "no kernels %s on this machine", name);
    return NULL;
}

/* ---- Model ---- */

typedef struct model_object {
    PyObject_HEAD
    void *blob;           /* a copy, aligned */
    edgeemo_model *model; /* the block that holds it */
    edgeemo_model_info info;
    size_t bytes;
    int busy; /* a thread is inside a call that has released the GIL */
} model_object;

static void model_free(model_object *self)
{
    PyMem_Free(self->model);
    PyMem_Free(self->blob);
    self->model = NULL;
    self->blob = NULL;
}

static int model_make(model_object *self, const Py_buffer *blob, int block,
                      const edgeemo_kernels *kernels)
{
    size_t bytes = (size_t)blob->len;
    self->blob = PyMem_Malloc(bytes ? bytes : 1);
    if (!self->blob) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(self->blob, blob->buf, bytes);
    int32_t status = edgeemo_model_check(self->blob, bytes, &self->info);
    self->bytes = edgeemo_model_size_with(self->blob, bytes, block, kernels);
    if (status == EDGEEMO_OK && self->bytes == 0)
        status = EDGEEMO_ERR_BLOCK;
    if (status == EDGEEMO_OK) {
        void *memory = PyMem_Malloc(self->bytes);
        if (!memory) {
            PyErr_NoMemory();
            return -1;
        }
        status = edgeemo_model_init_with(&self->model, memory, self->bytes, self->blob, bytes,
                                         block, kernels);
        if (status != EDGEEMO_OK)
            PyMem_Free(memory);
    }
    if (status == EDGEEMO_OK)
        return 0;
    PyErr_SetString(PyExc_ValueError, edgeemo_model_status_text(status));
    return -1;
}

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *from;
    Py_buffer blob;
    int block = 1;
    const char *name = NULL;
    static char *names[] = {"blob", "block", "kernels", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|iz:Model", names, &from, &block,
                                     &name))
        return NULL;
    const edgeemo_kernels *kernels = kernels_named(name);
    if (!kernels || edgeemo_borrow(from, &blob, "B", 0))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    model_object *self = (model_object *)allocate(type, 0);
    if (self && model_make(self, &blob, block, kernels))
        Py_CLEAR(self);
    PyBuffer_Release(&blob);
    return (PyObject *)self;
}

static void model_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    model_free((model_object *)object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static int is_busy(const model_object *self)
{
    if (self->busy)
        PyErr_SetString(PyExc_RuntimeError,
                        "this model is in use by another thread; give each thread its own");
    return self->busy;
}

static PyObject *model_push(PyObject *object, PyObject *argument)
{
    model_object *self = (model_object *)object;
    Py_buffer view;
    if (is_busy(self) || edgeemo_borrow(argument, &view, "fb", 0))
        return NULL;
    int32_t row = self->info.columns * self->info.channels, n = edgeemo_items(&view);
    int32_t told = EDGEEMO_ERR_ARG;
    if (n % row == 0) {
        self->busy = 1;
        Py_BEGIN_ALLOW_THREADS
        told = view.format[0] == 'f' ? edgeemo_model_push(self->model, view.buf, n / row)
                                     : edgeemo_model_push_i8(self->model, view.buf, n / row);
        Py_END_ALLOW_THREADS
        self->busy = 0;
    }
    PyBuffer_Release(&view);
    return PyLong_FromLong(told);
}

static PyObject *model_outputs(PyObject *object, PyObject *argument)
{
    model_object *self = (model_object *)object;
    Py_buffer view;
    if (is_busy(self) || edgeemo_borrow(argument, &view, "fb", 1))
        return NULL;
    int32_t n = edgeemo_items(&view);
    int32_t told = view.format[0] == 'f' ? edgeemo_model_outputs(self->model, view.buf, n)
                                         : edgeemo_model_outputs_i8(self->model, view.buf, n);
    PyBuffer_Release(&view);
    return PyLong_FromLong(told);
}

static PyObject *model_rows(PyObject *object, PyObject *arguments)
{
    model_object *self = (model_object *)object;
    int tensor;
    PyObject *to;
    Py_buffer view;
    if (!PyArg_ParseTuple(arguments, "iO:rows", &tensor, &to) || is_busy(self))
        return NULL;
    if (tensor < 0 || tensor >= self->info.tensors)
        return PyErr_Format(PyExc_ValueError, "tensor is %d; expected 0..%d", tensor,
                            (int)self->info.tensors - 1);
    if (edgeemo_borrow(to, &view, "b", 1))
        return NULL;
    const edgeemo_tensor *t = self->model->tensors + tensor;
    const edgeemo_rows *rows = self->model->rows + tensor;
    int32_t values = t->columns * t->channels, n = t->stride ? rows->made : 1;
    if (n <= rows->capacity && edgeemo_items(&view) == n * values)
        for (int32_t i = 0; i < n; i++)
            memcpy((char *)view.buf + i * values, edgeemo_row(self->model, tensor, i),
                   (size_t)values);
    else
        n = EDGEEMO_ERR_ARG;
    PyBuffer_Release(&view);
    return PyLong_FromLong(n);
}

static PyObject *model_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (is_busy((model_object *)object))
        return NULL;
    edgeemo_model_reset(((model_object *)object)->model);
    Py_RETURN_NONE;
}

static PyObject *model_info(PyObject *object, PyObject *unused)
{
    (void)unused;
    const model_object *self = (model_object *)object;
    const edgeemo_model_info *i = &self->info;
    return Py_BuildValue("{sisisisisisisisisnss}", "columns", (int)i->columns, "channels",
                         (int)i->channels, "values", (int)i->values, "outputs", (int)i->outputs,
                         "streamable", (int)i->streamable, "stride", (int)i->stride, "layers",
                         (int)i->layers, "tensors", (int)i->tensors, "bytes",
                         (Py_ssize_t)self->bytes, "kernels", self->model->kernels->name);
}

static PyMethodDef model_methods[] = {
    {"push", model_push, METH_O,
     "push(rows): float32 features or int8 values; tokens since the reset, or a negative status."},
    {"outputs", model_outputs, METH_O,
     "outputs(out): values written to out, float32 or int8, or a negative status."},
    {"rows", model_rows, METH_VARARGS,
     "rows(tensor, out): all rows that a tensor still holds, int8; for tests."},
    {"reset", model_reset, METH_NOARGS, "Forget all frames."},
    {"info", model_info, METH_NOARGS, "What the blob holds, bytes of memory, name of kernels."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_doc, "Model(blob, block=1, kernels=None): an int8 network, frame by frame or at once."},
    {Py_tp_new, model_new},
    {Py_tp_dealloc, model_dealloc},
    {Py_tp_methods, model_methods},
    {0, NULL},
};

static PyType_Spec model_type = {
    .name = "edgeemo._native.Model",
    .basicsize = sizeof(model_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = model_slots,
};

static PyObject *model_status_text(PyObject *module, PyObject *argument)
{
    (void)module;
    long status = PyLong_AsLong(argument);
    if (status == -1 && PyErr_Occurred())
        return NULL;
    return PyUnicode_FromString(edgeemo_model_status_text((int32_t)status));
}

static PyMethodDef functions[] = {
    {"model_layout", model_layout, METH_NOARGS, "Fields of a blob, kinds of layers, limits."},
    {"model_kernels", model_kernels, METH_NOARGS, "Sets of kernels that this processor can run."},
    {"model_status_text", model_status_text, METH_O, "The text of a status."},
    {NULL, NULL, 0, NULL},
};

int edgeemo_add_model(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return edgeemo_add_type(module, "Model", &model_type);
}
