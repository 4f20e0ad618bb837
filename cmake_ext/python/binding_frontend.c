/* binding_frontend.c: the front end for Python. edgeemo/features.py is its face. */
#include "binding.h"

#include "edgeemo.h"
#include "edgeemo_batch.h"
#include "edgeemo_fixed.h"

/* ---- the spec ---- */

typedef struct word {
    const char *text;
    int32_t value;
} word;

#define EDGEEMO_X(name, value, text) {text, value},
static const word window_shapes[] = {EDGEEMO_WINDOW_SHAPES(EDGEEMO_X) {NULL, 0}};
static const word spectra[] = {EDGEEMO_SPECTRA(EDGEEMO_X) {NULL, 0}};
static const word mel_scales[] = {EDGEEMO_MEL_SCALES(EDGEEMO_X) {NULL, 0}};
static const word triangles[] = {EDGEEMO_TRIANGLES(EDGEEMO_X) {NULL, 0}};
static const word area_norms[] = {EDGEEMO_AREA_NORMS(EDGEEMO_X) {NULL, 0}};
static const word logs[] = {EDGEEMO_LOGS(EDGEEMO_X) {NULL, 0}};
static const word floor_modes[] = {EDGEEMO_FLOOR_MODES(EDGEEMO_X) {NULL, 0}};
#undef EDGEEMO_X

/* The readers return 0, or -1 with a Python error set. */

static int read_int(PyObject *spec, const char *name, int32_t *out)
{
    PyObject *value = PyObject_GetAttrString(spec, name);
    if (!value)
        return -1;
    int overflow;
    long number = PyLong_AsLongAndOverflow(value, &overflow);
    Py_DECREF(value);
    if (number == -1 && PyErr_Occurred())
        return -1;
    /* Beyond int32 is beyond every range of the spec: let the check name the field. */
    if (overflow || number < INT32_MIN || number > INT32_MAX)
        number = INT32_MIN;
    *out = (int32_t)number;
    return 0;
}

static int read_double(PyObject *spec, const char *name, double *out)
{
    PyObject *value = PyObject_GetAttrString(spec, name);
    if (!value)
        return -1;
    *out = PyFloat_AsDouble(value);
    Py_DECREF(value);
    return *out == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int read_word(PyObject *spec, const char *name, const word *words, int32_t *out)
{
    PyObject *value = PyObject_GetAttrString(spec, name);
    if (!value)
        return -1;
    const char *text = PyUnicode_AsUTF8AndSize(value, NULL);
    *out = -1; /* an unknown word: the check refuses it */
    for (; text && words->text; words++)
        if (strcmp(text, words->text) == 0)
            *out = words->value;
    Py_DECREF(value);
    return text ? 0 : -1;
}

int edgeemo_read_spec(PyObject *spec, edgeemo_feature_spec *out)
{
    return read_int(spec, "sample_rate", &out->sample_rate)
        || read_int(spec, "window", &out->window) || read_int(spec, "hop", &out->hop)
        || read_int(spec, "fft", &out->fft) || read_int(spec, "bands", &out->bands)
        || read_double(spec, "low_hz", &out->low_hz)
        || read_double(spec, "high_hz", &out->high_hz)
        || read_double(spec, "floor", &out->floor)
        || read_word(spec, "window_shape", window_shapes, &out->window_shape)
        || read_word(spec, "spectrum", spectra, &out->spectrum)
        || read_word(spec, "mel_scale", mel_scales, &out->mel_scale)
        || read_word(spec, "triangles", triangles, &out->triangles)
        || read_word(spec, "area_norm", area_norms, &out->area_norm)
        || read_word(spec, "log", logs, &out->log)
        || read_word(spec, "floor_mode", floor_modes, &out->floor_mode);
}

static const char *status_name(int32_t status)
{
    switch (status) {
#define EDGEEMO_X(name, code, text) \
    case code:                      \
        return #name;
        EDGEEMO_STATUSES(EDGEEMO_X)
#undef EDGEEMO_X
    default:
        return "unknown status";
    }
}

static PyObject *check_spec(PyObject *module, PyObject *argument)
{
    (void)module;
    edgeemo_feature_spec spec;
    if (edgeemo_read_spec(argument, &spec))
        return NULL;
    return PyUnicode_FromString(status_name(edgeemo_feature_spec_check(&spec)));
}

static PyObject *words_tuple(const word *words)
{
    Py_ssize_t count = 0;
    while (words[count].text)
        count++;
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++) {
        PyObject *text = PyUnicode_FromString(words[i].text);
        if (!text || PyTuple_SetItem(tuple, i, text) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *choices(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("{sNsNsNsNsNsNsN}", "window_shape", words_tuple(window_shapes),
                         "spectrum", words_tuple(spectra), "mel_scale", words_tuple(mel_scales),
                         "triangles", words_tuple(triangles), "area_norm",
                         words_tuple(area_norms), "log", words_tuple(logs), "floor_mode",
                         words_tuple(floor_modes));
}

/* ---- whole stretches of samples ---- */

static PyObject *first_bad_sample(PyObject *module, PyObject *argument)
{
    (void)module;
    Py_buffer samples;
    if (edgeemo_borrow(argument, &samples, "f", 0))
        return NULL;
    int32_t at;
    Py_BEGIN_ALLOW_THREADS
    at = edgeemo_first_bad_sample(samples.buf, edgeemo_items(&samples));
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&samples);
    return PyLong_FromLong(at);
}

static PyObject *normalize_utterance(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *from, *to;
    Py_buffer samples, out;
    if (!PyArg_ParseTuple(arguments, "OO:normalize_utterance", &from, &to)
        || edgeemo_borrow(from, &samples, "f", 0))
        return NULL;
    if (edgeemo_borrow(to, &out, "f", 1)) {
        PyBuffer_Release(&samples);
        return NULL;
    }
    int32_t status = EDGEEMO_ERR_ARG;
    if (edgeemo_items(&samples) == edgeemo_items(&out)) {
        Py_BEGIN_ALLOW_THREADS
        status = edgeemo_normalize_utterance(samples.buf, edgeemo_items(&samples), out.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&samples);
    return PyLong_FromLong(status);
}

/* ---- tables ---- */

edgeemo_tables *edgeemo_tables_for(const edgeemo_feature_spec *spec, int fixed, void **memory)
{
    size_t bytes = edgeemo_tables_size(spec);
    edgeemo_tables sizes = {.win_length = spec->window, .fft = spec->fft, .bands = spec->bands};
    *memory = PyMem_Malloc(bytes + (fixed ? edgeemo_fixed_tables_size(&sizes) : 0));
    if (!*memory) {
        PyErr_NoMemory();
        return NULL;
    }
    edgeemo_tables *tables = edgeemo_make_tables(*memory, spec);
    if (fixed)
        tables = edgeemo_make_fixed_tables((char *)*memory + bytes, tables);
    if (!tables)
        PyErr_SetString(PyExc_ValueError, "a front end of integers takes powers, and clamps at its floor");
    return tables;
}

/* ---- Frontend ---- */

typedef struct frontend_object {
    PyObject_HEAD
    edgeemo_frontend *fe; /* the block that holds it; NULL until made */
    void *tables;         /* the block that holds them */
    size_t bytes;         /* of the state and of the tables */
    int32_t window, hop, bands;
    int busy; /* a thread is inside a call that has released the GIL */
} frontend_object;

static PyObject *frontend_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *spec_object;
    int fixed = 0;
    static char *names[] = {"spec", "fixed", NULL};
    edgeemo_feature_spec spec;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|p:Frontend", names, &spec_object, &fixed)
        || edgeemo_read_spec(spec_object, &spec))
        return NULL;
    int32_t status = edgeemo_feature_spec_check(&spec);
    if (status != EDGEEMO_OK)
        return PyErr_Format(PyExc_ValueError, "%s", edgeemo_status_text(status));
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    frontend_object *self = (frontend_object *)allocate(type, 0);
    if (!self)
        return NULL;
    self->window = spec.window;
    self->hop = spec.hop;
    self->bands = spec.bands;
    edgeemo_tables *tables = edgeemo_tables_for(&spec, fixed, &self->tables);
    if (!tables) {
        Py_DECREF(self);
        return NULL;
    }
    size_t bytes = edgeemo_frontend_state_size(tables);
    self->bytes = bytes + edgeemo_tables_size(&spec) + (fixed ? edgeemo_fixed_tables_size(tables) : 0);
    void *memory = PyMem_Malloc(bytes);
    if (!memory || edgeemo_frontend_init_tables(&self->fe, memory, bytes, tables) != EDGEEMO_OK) {
        PyMem_Free(memory);
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void frontend_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(((frontend_object *)object)->fe); /* it lies first in its block */
    PyMem_Free(((frontend_object *)object)->tables);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static int is_busy(const frontend_object *self)
{
    if (self->busy)
        PyErr_SetString(PyExc_RuntimeError,
                        "this front end is in use by another thread; give each thread its own");
    return self->busy;
}

static PyObject *frontend_frames(PyObject *object, PyObject *argument)
{
    frontend_object *self = (frontend_object *)object;
    Py_ssize_t n = PyNumber_AsSsize_t(argument, PyExc_OverflowError);
    if ((n == -1 && PyErr_Occurred()) || is_busy(self))
        return NULL;
    if (n < 0 || n > INT32_MAX)
        return PyErr_Format(PyExc_ValueError, "%zd samples; expected 0..2147483647", n);
    return PyLong_FromLong(edgeemo_frontend_frames(self->fe, (int32_t)n));
}

static PyObject *frontend_push(PyObject *object, PyObject *arguments)
{
    frontend_object *self = (frontend_object *)object;
    PyObject *from, *to;
    Py_buffer samples, out;
    if (!PyArg_ParseTuple(arguments, "OO:push", &from, &to) || is_busy(self)
        || edgeemo_borrow(from, &samples, "fh", 0))
        return NULL;
    if (edgeemo_borrow(to, &out, "f", 1)) {
        PyBuffer_Release(&samples);
        return NULL;
    }
    int32_t n = edgeemo_items(&samples), room = edgeemo_items(&out) / self->bands, taken = 0;
    int32_t frames = EDGEEMO_ERR_ARG;
    if (edgeemo_frontend_frames(self->fe, n) <= room) {
        self->busy = 1;
        Py_BEGIN_ALLOW_THREADS
        frames = samples.format[0] == 'f'
                     ? edgeemo_frontend_push(self->fe, samples.buf, n, out.buf, room, &taken)
                     : edgeemo_frontend_push_i16(self->fe, samples.buf, n, out.buf, room, &taken);
        Py_END_ALLOW_THREADS
        self->busy = 0;
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&samples);
    return PyLong_FromLong(frames);
}

static PyObject *frontend_whole(PyObject *object, PyObject *arguments)
{
    frontend_object *self = (frontend_object *)object;
    PyObject *from, *to;
    Py_buffer samples, out;
    if (!PyArg_ParseTuple(arguments, "OO:whole", &from, &to) || edgeemo_borrow(from, &samples, "f", 0))
        return NULL;
    if (edgeemo_borrow(to, &out, "f", 1)) {
        PyBuffer_Release(&samples);
        return NULL;
    }
    int32_t n = edgeemo_items(&samples), frames = EDGEEMO_ERR_ARG;
    size_t bytes = edgeemo_batch_size(self->fe);
    char *block = PyMem_Malloc(bytes + 64);
    int32_t count = n < self->window ? 0 : 1 + (n - self->window) / self->hop;
    if (block && count == edgeemo_items(&out) / self->bands) {
        void *aligned = block + (64 - (uintptr_t)block % 64);
        Py_BEGIN_ALLOW_THREADS
        frames = edgeemo_batch(self->fe, samples.buf, n, out.buf, aligned, bytes);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&samples);
    if (!block)
        return PyErr_NoMemory();
    PyMem_Free(block);
    return PyLong_FromLong(frames);
}

static PyObject *frontend_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (is_busy((frontend_object *)object))
        return NULL;
    edgeemo_frontend_reset(((frontend_object *)object)->fe);
    Py_RETURN_NONE;
}

static PyObject *frontend_sizeof(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(sizeof(frontend_object) + ((frontend_object *)object)->bytes);
}

static PyMethodDef frontend_methods[] = {
    {"frames", frontend_frames, METH_O, "Frames that a push of n more samples would complete."},
    {"push", frontend_push, METH_VARARGS,
     "push(samples, out): frames written to out, or a negative status."},
    {"whole", frontend_whole, METH_VARARGS,
     "whole(samples, out): all frames of a clip to out, or a negative status; the stream is not "
     "touched, and threads may do it at once."},
    {"reset", frontend_reset, METH_NOARGS, "Forget all samples."},
    {"__sizeof__", frontend_sizeof, METH_NOARGS, "Bytes, the tables included."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot frontend_slots[] = {
    {Py_tp_doc, "Frontend(spec, fixed=False): the C front end, its tables and the samples it holds back."},
    {Py_tp_new, frontend_new},
    {Py_tp_dealloc, frontend_dealloc},
    {Py_tp_methods, frontend_methods},
    {0, NULL},
};

static PyType_Spec frontend_type = {
    .name = "edgeemo._native.Frontend",
    .basicsize = sizeof(frontend_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = frontend_slots,
};

/* ---- what the module gets ---- */

static PyMethodDef functions[] = {
    {"check_spec", check_spec, METH_O, "Name of the status of a spec: EDGEEMO_OK, or a fault."},
    {"choices", choices, METH_NOARGS, "The words that each choice of a spec may have."},
    {"first_bad_sample", first_bad_sample, METH_O,
     "Index of the first float32 sample that a push refuses, or -1."},
    {"normalize_utterance", normalize_utterance, METH_VARARGS,
     "normalize_utterance(samples, out): the prenorm; returns a status."},
    {NULL, NULL, 0, NULL},
};

int edgeemo_add_frontend(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return edgeemo_add_type(module, "Frontend", &frontend_type);
}
