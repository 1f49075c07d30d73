"""What the most frequent ops do, one line each; of any other op the signature that its OpDef gives."""

from __future__ import annotations

from functools import cache
from typing import Any

from tfexplore.core import text
from tfexplore.formats import dtypes

_MAX_SIGNATURE = 200

_TABLE = """
Abs: the absolute value of each element
Add: adds element by element, with broadcasting
AddN: adds any number of tensors of one shape
AddV2: adds element by element, with broadcasting
All: whether all elements along some dimensions are true
Angle: the angle of each complex number
Any: whether any element along some dimensions is true
ApplyGradientDescent: takes a step of gradient descent on a variable
ArgMax: the place of the largest element along a dimension
ArgMin: the place of the smallest element along a dimension
AsString: writes each number as a string
Assert: stops the run with a message where a condition is false
Assign: gives a reference variable a new value
AssignAdd: adds to a reference variable
AssignAddVariableOp: adds to a variable
AssignSubVariableOp: subtracts from a variable
AssignVariableOp: gives a variable a new value
AvgPool: the mean of each window of an image
BatchMatMul: multiplies two batches of matrices
BatchMatMulV2: multiplies two batches of matrices, with broadcasting
BatchToSpaceND: moves parts of the batch back into space
BiasAdd: adds a vector to the last (or channel) dimension
BiasAddGrad: the gradient of BiasAdd for its bias
Bitcast: takes the same bytes for another dtype
BoostedTreesBucketize: sorts features into buckets
BroadcastArgs: the shape that two shapes broadcast to
BroadcastGradientArgs: the dimensions that a gradient is summed over, where its op has broadcast
BroadcastTo: repeats a tensor to a given shape
Bucketize: the bucket between given borders that each number falls into
Case: runs one of several functions, chosen by a number
Cast: converts to another dtype
Ceil: rounds up
CheckNumerics: stops the run where an element is NaN or infinite
ClipByValue: holds each element between two bounds
CombinedNonMaxSuppression: keeps the best of overlapping boxes, for each class
Complex: makes complex numbers of real and imaginary parts
ComplexAbs: the magnitude of each complex number
Concat: joins tensors along a dimension
ConcatOffset: where each tensor begins in what Concat joins
ConcatV2: joins tensors along a dimension
Const: a value that is stored in the graph
Conv2D: a convolution over images
Conv2DBackpropFilter: the gradient of Conv2D for its filter
Conv2DBackpropInput: the gradient of Conv2D for its input; also a transposed convolution
Conv3D: a convolution over volumes
Cos: the cosine of each element
CropAndResize: cuts boxes out of images and scales them to one size
CudnnRNN: a recurrent network on the GPU
CudnnRNNBackprop: the gradient of CudnnRNN
Cumsum: running sums along a dimension
DecodeBase64: decodes web-safe base64
DecodeCSV: splits lines of CSV into columns
DecodeJpeg: decodes a JPEG image
DecodePng: decodes a PNG image
DecodeRaw: takes the bytes of strings for numbers
DecodeWav: decodes a WAV file
DenseToDenseSetOperation: a set operation on the last dimension of two tensors
DepthToSpace: moves channels into space
DepthwiseConv2dNative: a convolution of each channel by itself
Dequantize: turns quantized numbers back into floats
DisableCopyOnRead: lets a variable be read without a copy
Div: divides element by element; whole numbers toward zero
DivNoNan: divides element by element; 0 where the divisor is 0
DynamicPartition: deals the rows out to several tensors
DynamicStitch: puts the rows of several tensors together by index
Einsum: sums of products by Einstein's notation
Elu: the exponential linear unit
EncodeProto: writes tensors as serialized protocol buffers
Enter: brings a tensor into a loop of TensorFlow 1
Equal: whether elements are equal
Erf: the error function of each element
Exit: brings a tensor out of a loop of TensorFlow 1
Exp: e to the power of each element
ExpandDims: adds a dimension of size 1
FIFOQueueV2: a queue, first in, first out
FakeQuantWithMinMaxVars: rounds as a quantized model would, and stays float
Fill: a tensor filled with one value
Floor: rounds down
FloorDiv: divides and rounds down
FloorMod: the remainder of FloorDiv, with the sign of the divisor
FusedBatchNorm: batch normalization
FusedBatchNormV2: batch normalization
FusedBatchNormV3: batch normalization
Gather: rows by index
GatherNd: slices by multi-dimensional index
GatherV2: slices by index along a dimension
Greater: whether elements are greater
GreaterEqual: whether elements are greater or equal
HashTableV2: a lookup table, filled once
HistogramSummary: a histogram for TensorBoard
IRFFT: the inverse of RFFT
Identity: passes its input on
IdentityN: passes its inputs on
If: runs one of two functions, by a condition
Imag: the imaginary part of each complex number
InitializeTableFromTextFileV2: fills a lookup table from a text file
InvertPermutation: the inverse of a permutation
IsFinite: whether elements are neither NaN nor infinite
IsInf: whether elements are infinite
IsNan: whether elements are NaN
L2Loss: half the sum of squares
LeakyRelu: keeps what is positive, scales down what is negative
Less: whether elements are less
LessEqual: whether elements are less or equal
LinSpace: evenly spaced numbers
Log: the natural logarithm of each element
Log1p: the natural logarithm of 1 plus each element
LogSoftmax: the logarithm of Softmax
LogicalAnd: whether both are true
LogicalNot: whether it is false
LogicalOr: whether either is true
LookupTableExportV2: all keys and values of a lookup table
LookupTableFindV2: looks keys up in a table
LookupTableImportV2: fills a lookup table from tensors
LookupTableSizeV2: how many entries a lookup table has
LoopCond: the condition of a loop of TensorFlow 1
MatMul: multiplies two matrices
MatrixDiag: matrices with given diagonals
MatrixInverse: the inverse of each matrix
Max: the largest element along some dimensions
MaxPool: the largest element of each window of an image
MaxPoolGrad: the gradient of MaxPool
Maximum: the larger of two elements
Mean: the mean along some dimensions
Merge: passes on whichever input arrives (control flow of TensorFlow 1)
MergeV2Checkpoints: joins the shards of a checkpoint into one
Min: the smallest element along some dimensions
Minimum: the smaller of two elements
MirrorPad: pads with a mirror image of the border
Mod: the remainder of a division
Mul: multiplies element by element, with broadcasting
Multinomial: draws from a categorical distribution
MutableHashTableV2: a lookup table that can change
Neg: the negative of each element
NextIteration: hands a tensor to the next round of a loop of TensorFlow 1
NoOp: does nothing; others wait for it
NonMaxSuppressionV3: keeps the best of overlapping boxes
NotEqual: whether elements differ
OneHot: a row with a one at each index
OnesLike: ones in the same shape
OptionalFromValue: wraps tensors as an optional value
OptionalNone: an optional value that is absent
Pack: stacks tensors along a new dimension
Pad: pads with zeros
PadV2: pads with a constant
ParseExample: parses serialized tf.train.Examples into features
ParseExampleV2: parses serialized tf.train.Examples into features
ParseSingleExample: parses one serialized tf.train.Example into features
PartitionedCall: calls a function that has no side effects
Placeholder: a value that the caller feeds
PlaceholderWithDefault: a value that the caller may feed
Pow: each element to a power
PreventGradient: passes its input on; asking for its gradient is an error
PrintV2: prints a string
Prod: the product along some dimensions
PyFunc: calls back into the Python program that made the graph
QuantizeV2: turns floats into quantized numbers
QueueDequeueV2: takes an element out of a queue
QueueEnqueueV2: puts an element into a queue
RFFT: the Fourier transform of real numbers
RaggedTensorToTensor: a dense tensor of ragged rows, padded
RandomStandardNormal: random numbers of the normal distribution
RandomUniform: random numbers between 0 and 1
RandomUniformInt: random whole numbers in a range
Range: a sequence of numbers
Rank: how many dimensions a tensor has
ReadFile: reads a whole file
ReadVariableOp: reads a variable
Real: the real part of each complex number
RealDiv: divides element by element
Reciprocal: 1 divided by each element
RegexReplace: replaces what a regular expression finds
Relu: keeps what is positive, else 0
Relu6: keeps what lies between 0 and 6
ReluGrad: the gradient of Relu
Reshape: the same elements in another shape
ResizeBilinear: scales images smoothly
ResizeNearestNeighbor: scales images by repeating pixels
ResourceApplyAdam: takes a step of Adam on a variable
ResourceApplyGradientDescent: takes a step of gradient descent on a variable
ResourceGather: rows of a variable by index
RestoreV2: reads tensors from a checkpoint
ReverseV2: turns dimensions around
Round: rounds to the nearest whole number, halves to even
Rsqrt: 1 divided by the square root of each element
SaveV2: writes tensors into a checkpoint
ScalarSummary: a number for TensorBoard
ScatterNd: puts slices into a tensor of zeros by index
SegmentSum: sums rows by sorted segment
Select: picks from two tensors by a condition
SelectV2: picks from two tensors by a condition, with broadcasting
Selu: the scaled exponential linear unit
Shape: the shape of a tensor, as a tensor
ShapeN: the shapes of several tensors
ShardedFilename: the name of one shard of a checkpoint
Sigmoid: 1 / (1 + exp(-x)) of each element
SigmoidGrad: the gradient of Sigmoid
Sign: -1, 0 or 1 by the sign of each element
Sin: the sine of each element
Size: how many elements a tensor has
Slice: a box cut out of a tensor
Snapshot: passes its input on as it is now
Softmax: makes scores into probabilities
SoftmaxCrossEntropyWithLogits: the cross entropy of scores and labels, and its gradient
Softplus: log(1 + exp(x)) of each element
SpaceToBatchND: moves blocks of space into the batch
SpaceToDepth: moves blocks of space into channels
SparseFillEmptyRows: gives empty rows of a sparse tensor a default
SparseReduceSum: sums a sparse tensor along some dimensions
SparseReshape: a sparse tensor in another shape
SparseSegmentMean: means of rows picked by index, by sorted segment
SparseSegmentSum: sums of rows picked by index, by sorted segment
SparseSoftmaxCrossEntropyWithLogits: the cross entropy of scores and class numbers, and its gradient
SparseToDense: a dense tensor of indices and values
Split: cuts a tensor into equal parts along a dimension
SplitV: cuts a tensor into parts of given sizes
Sqrt: the square root of each element
Square: the square of each element
SquaredDifference: the square of the difference of two elements
Squeeze: drops dimensions of size 1
StatefulPartitionedCall: calls a function that may have side effects
StatelessIf: runs one of two functions without side effects, by a condition
StatelessWhile: runs a function without side effects as long as a condition holds
StaticRegexFullMatch: whether all of a string matches a fixed regular expression
StaticRegexReplace: replaces what a fixed regular expression finds
StopGradient: passes its input on, but no gradient back
StridedSlice: a slice with begin, end and step, as Python has it
StridedSliceGrad: the gradient of StridedSlice
StringJoin: joins strings
StringLength: the length of each string
StringLower: strings in lower case
StringSplitV2: splits strings
StringStrip: strings without white space around them
StringToHashBucketFast: a bucket number by the hash of each string
StringToNumber: reads numbers from strings
Sub: subtracts element by element, with broadcasting
Substr: a part of each string
Sum: the sum along some dimensions
Switch: sends a tensor one of two ways (control flow of TensorFlow 1)
Tanh: the hyperbolic tangent of each element
TanhGrad: the gradient of Tanh
TensorArrayV3: an array of tensors that a loop writes
TensorListFromTensor: a list of the rows of a tensor
TensorListGetItem: one tensor of a list
TensorListReserve: a list of a given length, still empty
TensorListSetItem: a list with one tensor replaced
TensorListStack: the tensors of a list as one tensor
Tile: repeats a tensor along its dimensions
TopKV2: the k largest elements, and where they are
Transpose: reorders dimensions
TruncatedNormal: normal random numbers, none far from the mean
Unique: the distinct elements, and which each one is
Unpack: cuts a tensor into slices along a dimension
UnsortedSegmentSum: sums of rows by segment
UpperBound: where elements would be put into sorted rows
VarHandleOp: the handle of a variable
VarIsInitializedOp: whether a variable has a value
Variable: a variable of TensorFlow 1, by reference
VariableShape: the shape of a variable
VariableV2: a variable of TensorFlow 1, by reference
Where: the places that are true
While: runs a function as long as a condition holds
Xdivy: divides; 0 where the dividend is 0
ZerosLike: zeros in the same shape
"""


@cache
def meanings() -> dict[str, str]:
    """The table: one line by op."""
    return dict(line.split(": ", 1) for line in _TABLE.strip().split("\n"))


def meaning(op: str, op_def: Any | None) -> str | None:
    """What an op does, visible; None where nobody knows it.

    Args:
        op_def: its OpDef, whose signature stands for ops without a line of their own; None where there is none.
    """
    found = meanings().get(op)
    if found is not None or op_def is None:
        return found
    shown = f"{_arguments(op_def.input_arg)} → {_arguments(op_def.output_arg)}"
    return shown if len(shown) <= _MAX_SIGNATURE else f"{shown[:_MAX_SIGNATURE]}{text.ELLIPSIS}"


def _arguments(args: Any) -> str:
    listed = ", ".join(f"{text.label(text.decode(arg.name))}: {_type(arg)}" for arg in args[:16])
    more = ", …" if len(args) > 16 else ""
    return f"({listed}{more})"


def _type(arg: Any) -> str:
    name = arg.type_list_attr or arg.type_attr
    one = text.visible(text.decode(name)) if name else dtypes.name(arg.type)
    return f"{text.visible(text.decode(arg.number_attr))} × {one}" if arg.number_attr else one
