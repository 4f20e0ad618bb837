/* binding_confidence.c: the confidence's parts for Python; edgeemo/artifacts/confidence.py is their
 * face. */
#include "binding.h"

#include "edgeemo_confidence.h"

static PyObject *describe(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *from, *to;
    Py_buffer features, out;
    int bands;
    if (!PyArg_ParseTuple(arguments, "OiO:describe", &from, &bands, &to)
        || edgeemo_borrow(from, &features, "f", 0))
        return NULL;
    if (edgeemo_borrow(to, &out, "f", 1)) {
        PyBuffer_Release(&features);
        return NULL;
    }
    int32_t frames = bands >= EDGEEMO_GROUPS ? edgeemo_items(&features) / bands : 0;
    int32_t status = EDGEEMO_ERR_ARG;
    if (frames > 0 && edgeemo_items(&out) == EDGEEMO_DESCRIBED) {
        const float *frame = features.buf;
        edgeemo_statistics statistics;
        int32_t groups[2][EDGEEMO_GROUPS] = {{0}};
        Py_BEGIN_ALLOW_THREADS
        edgeemo_statistics_reset(&statistics);
        for (int32_t i = 0; i < frames && i < EDGEEMO_MOST_DESCRIBED; i++, frame += bands) {
            edgeemo_group_means(frame, bands, groups[i & 1]);
            edgeemo_statistics_add(&statistics, groups[i & 1], groups[!(i & 1)]);
        }
        edgeemo_describe(&statistics, out.buf);
        Py_END_ALLOW_THREADS
        status = EDGEEMO_OK;
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&features);
    return PyLong_FromLong(status);
}

int edgeemo_regression(const Py_buffer *parts, float bias, edgeemo_confidence *out)
{
    int32_t n = edgeemo_items(parts) / 4;
    const float *values = parts->buf;
    if (n < 1 || edgeemo_items(parts) != 4 * n) {
        PyErr_Format(PyExc_ValueError, "%d values of a regression; expected 4 for each input",
                     (int)edgeemo_items(parts));
        return -1;
    }
    *out = (edgeemo_confidence){n, bias, values, values + n, values + 2 * n};
    return 0;
}

static PyObject *confidence_of(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *from, *parts_from;
    Py_buffer values, parts;
    float bias;
    if (!PyArg_ParseTuple(arguments, "OOf:confidence", &from, &parts_from, &bias)
        || edgeemo_borrow(from, &values, "f", 0))
        return NULL;
    PyObject *result = NULL;
    edgeemo_confidence confidence;
    if (edgeemo_borrow(parts_from, &parts, "f", 0) == 0) {
        if (edgeemo_regression(&parts, bias, &confidence) == 0) {
            if (edgeemo_items(&values) == confidence.inputs)
                result =
                    PyFloat_FromDouble((double)edgeemo_confidence_of(&confidence, values.buf));
            else
                PyErr_Format(PyExc_ValueError, "%d values; expected %d",
                             (int)edgeemo_items(&values), (int)confidence.inputs);
        }
        PyBuffer_Release(&parts);
    }
    PyBuffer_Release(&values);
    return result;
}

static PyObject *smoothing_weight(PyObject *module, PyObject *arguments)
{
    (void)module;
    float elapsed, seconds;
    if (!PyArg_ParseTuple(arguments, "ff:smoothing_weight", &elapsed, &seconds))
        return NULL;
    if (!(elapsed >= 0 && seconds > 0))
        return PyErr_Format(PyExc_ValueError, "a time that is not above 0");
    return PyFloat_FromDouble((double)edgeemo_smoothing_weight(elapsed, seconds));
}

static PyMethodDef functions[] = {
    {"describe", describe, METH_VARARGS,
     "describe(features, bands, out): how a log-mel lies and moves; returns a status."},
    {"confidence", confidence_of, METH_VARARGS,
     "confidence(values, parts, bias): the probability; parts are center, scale and weights."},
    {"smoothing_weight", smoothing_weight, METH_VARARGS,
     "smoothing_weight(elapsed, seconds): the share of a step that a running mean has gone."},
    {NULL, NULL, 0, NULL},
};

int edgeemo_add_confidence(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
