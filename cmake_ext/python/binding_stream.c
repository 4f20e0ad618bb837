/* binding_stream.c: the stream for Python; edgeemo/speech/chain.py is its face. */
#include "binding.h"

#include "edgeemo_internal.h"
#include "edgeemo_stream.h"

typedef struct stream_object {
    PyObject_HEAD
    edgeemo_stream *stream; /* the block that holds it */
    void *tables;           /* copies of all that a stream reads */
    void *blob;
    float *parts;
    edgeemo_confidence confidence;
    edgeemo_speech_model model;
    int32_t values, block; /* of the model; samples in 10 ms */
    int busy;              /* a thread is inside a call that has released the GIL */
} stream_object;

static void *copied(const Py_buffer *view)
{
    void *copy = PyMem_Malloc(view->len ? (size_t)view->len : 1);
    if (copy)
        memcpy(copy, view->buf, (size_t)view->len);
    else
        PyErr_NoMemory();
    return copy;
}

static int refuse(int32_t status)
{
    PyErr_SetString(PyExc_ValueError, edgeemo_model_status_text(status));
    return -1;
}

static int make(stream_object *self, const edgeemo_feature_spec *spec,
                edgeemo_stream_settings *settings, int fixed)
{
    int32_t status = edgeemo_feature_spec_check(spec);
    if (status != EDGEEMO_OK)
        return refuse(status);
    self->model.tables = edgeemo_tables_for(spec, fixed, &self->tables);
    if (!self->model.tables)
        return -1;
    self->model.sample_rate = settings->sample_rate = spec->sample_rate;
    self->block = spec->sample_rate / 100;
    edgeemo_model_info info;
    status = edgeemo_model_check(self->model.blob, self->model.blob_bytes, &info);
    size_t bytes = edgeemo_stream_size(&self->model, settings);
    void *memory = PyMem_Malloc(bytes ? bytes : 1);
    if (!memory) {
        PyErr_NoMemory();
        return -1;
    }
    if (status == EDGEEMO_OK)
        status = bytes ? edgeemo_stream_init(&self->stream, memory, bytes, &self->model, settings)
                       : EDGEEMO_ERR_SETTINGS;
    if (status != EDGEEMO_OK) {
        PyMem_Free(memory);
        return refuse(status);
    }
    self->values = info.values;
    return 0;
}

static PyObject *stream_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *spec_object, *blob_from, *parts_from;
    Py_buffer blob, parts;
    edgeemo_feature_spec spec;
    edgeemo_speech_model m = {0};
    edgeemo_stream_settings c = {0};
    float bias;
    int fixed = 0;
    static char *names[] = {"spec", "blob", "model", "regression", "bias", "settings", "fixed", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO(iiiff)Of(iiiiiffff)|p:Stream", names,
                                     &spec_object, &blob_from, &m.least, &m.classes_at, &m.classes,
                                     &m.low, &m.high, &parts_from, &bias, &c.window, &c.stride,
                                     &c.gate, &c.spread, &c.block, &c.abstain, &c.smoothing,
                                     &c.margin, &c.forget_seconds, &fixed)
        || edgeemo_read_spec(spec_object, &spec))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    stream_object *self = (stream_object *)allocate(type, 0);
    if (!self)
        return NULL;
    self->model = m;
    int failed = edgeemo_borrow(blob_from, &blob, "B", 0);
    if (!failed) {
        self->blob = copied(&blob);
        self->model.blob = self->blob;
        self->model.blob_bytes = (size_t)blob.len;
        failed = !self->blob;
        PyBuffer_Release(&blob);
    }
    if (!failed && parts_from != Py_None) {
        failed = edgeemo_borrow(parts_from, &parts, "f", 0);
        if (!failed) {
            self->parts = copied(&parts);
            failed = !self->parts || edgeemo_regression(&parts, bias, &self->confidence);
            PyBuffer_Release(&parts);
        }
        if (!failed) { /* the copy stays */
            int32_t n = self->confidence.inputs;
            self->confidence.center = self->parts;
            self->confidence.scale = self->parts + n;
            self->confidence.weights = self->parts + 2 * n;
            self->model.confidence = &self->confidence;
        }
    }
    if (failed || make(self, &spec, &c, fixed))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void stream_dealloc(PyObject *object)
{
    stream_object *self = (stream_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->stream);
    PyMem_Free(self->tables);
    PyMem_Free(self->blob);
    PyMem_Free(self->parts);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static int is_busy(const stream_object *self)
{
    if (self->busy)
        PyErr_SetString(PyExc_RuntimeError,
                        "this stream is in use by another thread; give each thread its own");
    return self->busy;
}

static PyObject *stream_push(PyObject *object, PyObject *argument)
{
    stream_object *self = (stream_object *)object;
    Py_buffer samples;
    if (is_busy(self) || edgeemo_borrow(argument, &samples, "fh", 0))
        return NULL;
    int32_t told, n = edgeemo_items(&samples), shorts = samples.format[0] == 'h';
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    told = shorts ? edgeemo_stream_push_i16(self->stream, samples.buf, n)
                  : edgeemo_stream_push(self->stream, samples.buf, n);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    PyBuffer_Release(&samples);
    return PyLong_FromLong(told);
}

static PyObject *stream_gap(PyObject *object, PyObject *arguments)
{
    stream_object *self = (stream_object *)object;
    PyObject *filler_from, *last_from;
    Py_buffer filler, last;
    if (!PyArg_ParseTuple(arguments, "OO:gap", &filler_from, &last_from) || is_busy(self)
        || edgeemo_borrow(filler_from, &filler, "f", 0))
        return NULL;
    if (edgeemo_borrow(last_from, &last, "f", 0)) {
        PyBuffer_Release(&filler);
        return NULL;
    }
    int32_t told = EDGEEMO_ERR_ARG;
    if (edgeemo_items(&last) == self->block) {
        self->busy = 1;
        Py_BEGIN_ALLOW_THREADS
        told = edgeemo_stream_gap(self->stream, filler.buf, edgeemo_items(&filler), last.buf);
        Py_END_ALLOW_THREADS
        self->busy = 0;
    }
    PyBuffer_Release(&last);
    PyBuffer_Release(&filler);
    return PyLong_FromLong(told);
}

/* The estimate, its values in `argument`; None if there is none. */
static PyObject *told(const stream_object *self, int32_t status, const edgeemo_estimate *e,
                      PyObject *argument)
{
    Py_buffer values;
    if (status != EDGEEMO_OK)
        Py_RETURN_NONE;
    if (edgeemo_borrow(argument, &values, "f", 1))
        return NULL;
    int32_t fits = edgeemo_items(&values) == self->values;
    if (fits)
        memcpy(values.buf, e->values, (size_t)self->values * sizeof(float));
    PyBuffer_Release(&values);
    if (!fits)
        return PyErr_Format(PyExc_ValueError, "expected room for %d values", (int)self->values);
    return Py_BuildValue("(LLiiid)", (long long)e->start, (long long)e->end, (int)e->speech,
                         (int)e->known, (int)e->expression, (double)e->confidence);
}

static PyObject *stream_estimate(PyObject *object, PyObject *argument)
{
    stream_object *self = (stream_object *)object;
    edgeemo_estimate e;
    if (is_busy(self))
        return NULL;
    int32_t status = edgeemo_stream_estimate(self->stream, &e);
    return told(self, status, &e, argument);
}

static PyObject *stream_flush(PyObject *object, PyObject *argument)
{
    stream_object *self = (stream_object *)object;
    edgeemo_estimate e;
    if (is_busy(self))
        return NULL;
    int32_t status = edgeemo_stream_flush(self->stream, &e);
    return told(self, status, &e, argument);
}

static PyObject *stream_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (is_busy((stream_object *)object))
        return NULL;
    edgeemo_stream_reset(((stream_object *)object)->stream);
    Py_RETURN_NONE;
}

static PyMethodDef stream_methods[] = {
    {"push", stream_push, METH_O,
     "push(samples): float32 or int16; estimates that became ready, or a negative status."},
    {"gap", stream_gap, METH_VARARGS,
     "gap(filler, last): lost sound; estimates that became ready, or a negative status."},
    {"estimate", stream_estimate, METH_O,
     "estimate(out): the newest one, its values to out, or None."},
    {"flush", stream_flush, METH_O, "flush(out): the estimate of the rest, or None; and a reset."},
    {"reset", stream_reset, METH_NOARGS, "Forget all samples."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, "Stream(spec, blob, model, regression, bias, settings): samples to estimates."},
    {Py_tp_new, stream_new},
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_methods, stream_methods},
    {0, NULL},
};

static PyType_Spec stream_type = {
    .name = "edgeemo._native.Stream",
    .basicsize = sizeof(stream_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = stream_slots,
};

int edgeemo_add_stream(PyObject *module)
{
    return edgeemo_add_type(module, "Stream", &stream_type);
}
