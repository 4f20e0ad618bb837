/* edgeemo_parts.h: what is compiled beside what every student that streams needs (convolution,
 * depthwise, add, mean, softmax; in floats, power spectra by FFTs of 128 or 512 samples, three quarters of them
 * or more the frame's). Models and
 * front ends that need more are refused. `edgeemo export` writes this file with what its student needs. */
#ifndef EDGEEMO_PARTS_H
#define EDGEEMO_PARTS_H

#define EDGEEMO_WITH_MULTIPLY 1
#define EDGEEMO_WITH_TABLE 1
#define EDGEEMO_WITH_POOLS 1
#define EDGEEMO_WITH_INT4 1
#define EDGEEMO_WITH_MAGNITUDE 1
#define EDGEEMO_WITH_OTHER_FFTS 1
#define EDGEEMO_WITH_INTEGERS 1

#endif
