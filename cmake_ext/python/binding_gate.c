/* binding_gate.c: the energy gate for Python; edgeemo/speech/vad.py checks what goes in. */
#include "binding.h"

#include "edgeemo_gate.h"

typedef struct gate_object {
    PyObject_HEAD
    edgeemo_gate gate;
    int busy; /* a thread is inside a call that has released the GIL */
} gate_object;

static PyObject *gate_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    int rate;
    static char *names[] = {"sample_rate", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i:Gate", names, &rate))
        return NULL;
    edgeemo_gate gate;
    int32_t status = edgeemo_gate_init(&gate, rate);
    if (status != EDGEEMO_OK)
        return PyErr_Format(PyExc_ValueError, "%s", edgeemo_status_text(status));
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    gate_object *self = (gate_object *)allocate(type, 0);
    if (self)
        self->gate = gate;
    return (PyObject *)self;
}

static void gate_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static int is_busy(const gate_object *self)
{
    if (self->busy)
        PyErr_SetString(PyExc_RuntimeError,
                        "this gate is in use by another thread; give each thread its own");
    return self->busy;
}

static PyObject *gate_blocks(PyObject *object, PyObject *argument)
{
    Py_ssize_t n = PyNumber_AsSsize_t(argument, PyExc_OverflowError);
    if ((n == -1 && PyErr_Occurred()) || is_busy((gate_object *)object))
        return NULL;
    if (n < 0 || n > INT32_MAX)
        return PyErr_Format(PyExc_ValueError, "%zd samples; expected 0..2147483647", n);
    return PyLong_FromLong(edgeemo_gate_blocks(&((gate_object *)object)->gate, (int32_t)n));
}

static PyObject *gate_push(PyObject *object, PyObject *arguments)
{
    gate_object *self = (gate_object *)object;
    PyObject *from, *to;
    Py_buffer samples, out;
    if (!PyArg_ParseTuple(arguments, "OO:push", &from, &to) || is_busy(self)
        || edgeemo_borrow(from, &samples, "f", 0))
        return NULL;
    if (edgeemo_borrow(to, &out, "B", 1)) {
        PyBuffer_Release(&samples);
        return NULL;
    }
    int32_t told;
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    told = edgeemo_gate_push(&self->gate, samples.buf, edgeemo_items(&samples), out.buf,
                             edgeemo_items(&out));
    Py_END_ALLOW_THREADS
    self->busy = 0;
    PyBuffer_Release(&out);
    PyBuffer_Release(&samples);
    return PyLong_FromLong(told);
}

static PyObject *gate_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (is_busy((gate_object *)object))
        return NULL;
    edgeemo_gate_reset(&((gate_object *)object)->gate);
    Py_RETURN_NONE;
}

static PyMethodDef gate_methods[] = {
    {"blocks", gate_blocks, METH_O, "Blocks that a push of n more samples would complete."},
    {"push", gate_push, METH_VARARGS,
     "push(samples, out): answers written to out, or a negative status."},
    {"reset", gate_reset, METH_NOARGS, "Forget all samples and the noise floor."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot gate_slots[] = {
    {Py_tp_doc, "Gate(sample_rate): is somebody speaking? By energy over an adaptive floor."},
    {Py_tp_new, gate_new},
    {Py_tp_dealloc, gate_dealloc},
    {Py_tp_methods, gate_methods},
    {0, NULL},
};

static PyType_Spec gate_type = {
    .name = "edgeemo._native.Gate",
    .basicsize = sizeof(gate_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = gate_slots,
};

int edgeemo_add_gate(PyObject *module)
{
    return edgeemo_add_type(module, "Gate", &gate_type);
}
